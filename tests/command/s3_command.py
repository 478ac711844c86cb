#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The larder command on an object store: Ceph's gateway, which stands in for S3."""
import signal
import subprocess
import time
import unittest

from case import COMMAND, Case
from server import Server, need


class Store(Case):
    """Tests with a bucket of their own."""
    count = 0

    @classmethod
    def setUpClass(cls):
        need('radosgw')
        cls.server = Server('rgw')
        cls.addClassCleanup(cls.server.remove)
        cls.server.start()

    def setUp(self):
        super().setUp()
        self.environment.update(AWS_ENDPOINT_URL_S3=self.server.url, AWS_ACCESS_KEY_ID='testkey',
                                AWS_SECRET_ACCESS_KEY='testsecret')
        Store.count += 1
        self.bucket = f'bucket-{Store.count}'
        self.url = f's3://{self.bucket}'
        self.larder('mkdir', self.url)


class Buckets(Store):
    def test_buckets_are_directories_of_the_root(self):
        self.larder('mkdir', self.url + '-2')
        self.larder('mkdir', self.url + '-2', code=1)
        self.assertIn(self.bucket + '-2/', self.lines('ls', 's3://'))
        self.larder('pipe', self.url + '-2/a/b', stdin=b'x')
        self.larder('rmdir', self.url + '-2', code=1)
        self.larder('rm', '-r', self.url + '-2/a')
        self.larder('rmdir', self.url + '-2')
        self.assertNotIn(self.bucket + '-2/', self.lines('ls', 's3://'))
        self.larder('ls', self.url + '-2', code=3)

    def test_no_bucket_is_made_by_a_name_that_was_mistyped(self):
        tree = self.tree({'a': b'1'})
        self.larder('pipe', self.url + '/f', stdin=b'x')
        missing = self.url + 's'
        for code, *args in ((3, 'cp', self.url + '/f', missing + '/f'), (3, 'put', tree / 'a', missing + '/f'),
                            (5, 'put', '-r', tree, missing), (3, 'sync', tree, missing),
                            (3, 'mv', self.url + '/f', missing + '/f')):
            self.larder(*args, code=code)
            self.assertIn('NoSuchBucket', self.stderr)
        self.assertNotIn(self.bucket + 's/', self.lines('ls', 's3://'))

    def test_a_failure_says_a_path_once(self):
        self.larder('ls', self.url + '//x', code=2)
        self.assertEqual(self.stderr, f'larder: {self.url}//x: a path has no empty segments\n')


class Sign(Store):
    def test_a_signed_url_works_in_plain_curl_and_for_its_time_only(self):
        name = "a b+c%/é&=?'#"
        self.larder('pipe', f'{self.url}/{name}', stdin=b'signed')
        url = self.lines('sign', f'{self.url}/{name}')[0]
        self.assertIn('X-Amz-Expires=3600&', url)
        self.assertEqual(subprocess.run(['curl', '-sSf', url], capture_output=True, check=True).stdout, b'signed')
        self.assertEqual(self.objects('sign', '--expires', '60', f'{self.url}/{name}')[0].keys(), {'url'})
        short = self.lines('sign', '--expires', '1', f'{self.url}/{name}')[0]
        time.sleep(2.5)
        late = subprocess.run(['curl', '-sS', '-o', '/dev/null', '-w', '%{http_code}', short], capture_output=True)
        self.assertEqual(late.stdout, b'403')
        unsigned = subprocess.run(['curl', '-sS', '-o', '/dev/null', '-w', '%{http_code}', url.split('?')[0]],
                                  capture_output=True)
        self.assertEqual(unsigned.stdout, b'403')
        self.larder('sign', '--expires', '0', self.url + '/x', code=2)
        self.larder('sign', self.dir / 'local', code=1)


class Stat(Store):
    def test_what_a_server_keeps_with_a_file_is_shown_and_set_by_options(self):
        self.larder('-o', 's3.content_type=auto', '-o', 's3.metadata=color: blue', 'pipe', self.url + '/a.html',
                    stdin=b'x')
        lines = self.lines('stat', '-a', self.url + '/a.html')
        self.assertIn('content-type: text/html', lines)
        self.assertIn('metadata.color: blue', lines)
        kept = self.objects('stat', '-a', self.url + '/a.html')[0]['properties']
        self.assertEqual((kept['content-type'], kept['metadata.color']), ('text/html', 'blue'))
        self.assertNotIn('content-type: text/html', self.lines('stat', self.url + '/a.html'))
        self.larder('stat', '-a', 'cache::' + self.url + '/a.html')
        self.larder('--offline', 'stat', self.url + '/a.html')
        self.larder('--offline', 'stat', '-a', self.url + '/a.html', code=4)
        self.larder('stat', '-a', self.url)
        self.larder('stat', '-a', self.dir)


class Uploads(Store):
    def killed_upload(self, url):
        """A put of far more than goes up before it is killed."""
        large = self.dir / 'large'
        with open(large, 'wb') as f:
            f.truncate(4 << 30)
        writer = subprocess.Popen([COMMAND, 'put', large, url], env=self.environment)
        while not any(line.endswith('\t' + url) for line in self.lines('uploads', self.url)):
            self.assertIsNone(writer.poll())
            time.sleep(0.05)
        writer.send_signal(signal.SIGKILL)
        writer.wait()

    def test_what_a_killed_writer_left_is_listed_and_aborted(self):
        self.assertEqual(self.larder('uploads', self.url), b'')
        for name in ('big', 'd/a b+%', 'dd/c'):
            self.killed_upload(f'{self.url}/{name}')
        def left(below):
            return [o['url'][len(self.url) + 1:] for o in self.objects('uploads', below)]
        self.assertEqual(left(self.url), ['big', 'd/a b+%', 'dd/c'])
        self.assertEqual(left(self.url + '/d'), ['d/a b+%'])
        self.assertEqual(left(self.url + '/big'), ['big'])
        self.assertIn(self.url + '/dd/c', [o['url'] for o in self.objects('uploads', 's3://')])
        one = self.objects('uploads', self.url + '/big')[0]
        self.assertEqual(one.keys(), {'url', 'id', 'begun'})
        self.assertEqual(self.larder('ls', self.url), b'')
        self.larder('uploads', '--abort', self.url + '/d')
        self.assertEqual(left(self.url), ['big', 'dd/c'])
        self.assertEqual(len(self.lines('uploads', '--abort', self.url)), 2)
        self.assertEqual(self.larder('uploads', self.url), b'')
        self.larder('uploads', self.url + '-none', code=3)
        self.larder('uploads', self.dir, code=1)


if __name__ == '__main__':
    unittest.main()
