#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Larder, rclone and boto3 on one object store: what each writes the others read."""
import json
import os
import subprocess
import unittest

from s3_command import Store
from server import need

try:
    import boto3
except ImportError:
    boto3 = None

LARGE = bytes(range(256)) * 50000  # 12.8 MB: two parts
# Every byte that a key can have and a path can say, and what tools are known to stumble over.
KEYS = [f'byte-{i:02x}-{chr(i)}-end' for i in range(1, 128) if chr(i) != '/']
KEYS += ['é€😀', 'dir with space/ü/%2F', '/'.join('x' * 200 for _ in range(5)), '...', '~', 'quote\'"&<>', 'tab\tnew\nline\r',
         'a+b %20%zz', ' blank ', 'd/a', 'd.a', 'd']


class Peer(Store):
    def setUp(self):
        super().setUp()
        for name in [name for name in self.environment if name.startswith('AWS_CA')]:
            del self.environment[name]
        # The checksums that newer SDKs send are more than the gateway knows.
        self.environment.update(AWS_REQUEST_CHECKSUM_CALCULATION='when_required',
                                AWS_RESPONSE_CHECKSUM_VALIDATION='when_required', AWS_DEFAULT_REGION='us-east-1',
                                AWS_EC2_METADATA_DISABLED='true')

    def content(self, key):
        return b'content of ' + key.encode()


class Boto3(Peer):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if boto3 is None:
            need('boto3')

    def setUp(self):
        super().setUp()
        os.environ.update({k: v for k, v in self.environment.items() if k.startswith('AWS_')})
        self.s3 = boto3.client('s3', endpoint_url=self.server.url, region_name='us-east-1', aws_access_key_id='testkey',
                               aws_secret_access_key='testsecret')
        self.addCleanup(self.s3.close)

    def keys(self):
        pages = self.s3.get_paginator('list_objects_v2').paginate(Bucket=self.bucket)
        return sorted(o['Key'] for page in pages for o in page.get('Contents', ()))

    def test_keys_of_every_byte_that_larder_writes(self):
        keys = [k for k in KEYS if k != 'd']  # which no disk has beside d/a
        tree = self.tree({k: self.content(k) for k in keys})
        self.larder('put', '-r', '--literal', f'{tree}/', self.url + '/')
        self.larder('map', 'set', self.url, 'd', stdin=self.content('d'))
        self.assertEqual(self.keys(), sorted(KEYS))
        for key in KEYS:
            self.assertEqual(self.s3.get_object(Bucket=self.bucket, Key=key)['Body'].read(), self.content(key))

    def test_keys_of_every_byte_that_boto3_writes(self):
        for key in KEYS:
            self.s3.put_object(Bucket=self.bucket, Key=key, Body=self.content(key))
        found = self.larder('find', '-0', self.url).split(b'\0')[:-1]
        self.assertEqual(sorted(k.decode() for k in found), sorted(KEYS))
        names = b''.join(k.encode() + b'\0' for k in KEYS)
        values = self.larder('map', 'get', '-0', self.url, '-', stdin=names)
        self.assertEqual(values, b''.join(self.content(k) for k in KEYS))
        self.larder('rm', '--literal', *(f'{self.url}/{k}' for k in KEYS))
        self.assertEqual(self.keys(), [])

    def test_what_is_said_of_an_object(self):
        self.larder('-o', 's3.content_type=text/x-larder', '-o', 's3.cache_control=max-age=7', '-o',
                    's3.metadata=color: deep blue\nempty:', 'pipe', self.url + '/a', stdin=b'x')
        head = self.s3.head_object(Bucket=self.bucket, Key='a')
        self.assertEqual((head['ContentType'], head['CacheControl']), ('text/x-larder', 'max-age=7'))
        self.assertEqual(head['Metadata']['color'], 'deep blue')
        self.s3.put_object(Bucket=self.bucket, Key='b', Body=b'y', ContentType='image/x-boto', CacheControl='no-store',
                           ContentDisposition='inline', Metadata={'Shape': 'round'})
        kept = self.objects('stat', '-a', self.url + '/b')[0]['properties']
        self.assertEqual((kept['content-type'], kept['cache-control'], kept['content-disposition'],
                          kept['metadata.shape']), ('image/x-boto', 'no-store', 'inline', 'round'))

    def test_objects_in_parts_and_of_no_bytes(self):
        (self.dir / 'large').write_bytes(LARGE)
        self.larder('put', self.dir / 'large', self.url + '/one')
        head = self.s3.head_object(Bucket=self.bucket, Key='one')
        self.assertTrue(head['ETag'].endswith('-2"'))
        self.assertEqual(head['ETag'], self.objects('stat', self.url + '/one')[0]['etag'])
        self.assertEqual(self.s3.get_object(Bucket=self.bucket, Key='one')['Body'].read(), LARGE)
        upload = self.s3.create_multipart_upload(Bucket=self.bucket, Key='two')['UploadId']
        parts = []
        for number, part in enumerate((LARGE[:5 << 20], LARGE[5 << 20:]), 1):
            done = self.s3.upload_part(Bucket=self.bucket, Key='two', UploadId=upload, PartNumber=number, Body=part)
            parts.append({'PartNumber': number, 'ETag': done['ETag']})
        self.assertEqual(self.objects('uploads', self.url)[0]['id'], upload)
        self.s3.complete_multipart_upload(Bucket=self.bucket, Key='two', UploadId=upload, MultipartUpload={'Parts': parts})
        self.assertEqual(self.larder('cat', self.url + '/two'), LARGE)
        self.assertEqual(self.larder('cat', '--range', '5242870-5242890', self.url + '/two'), LARGE[5242870:5242890])
        self.larder('pipe', self.url + '/empty')
        self.assertEqual(self.s3.head_object(Bucket=self.bucket, Key='empty')['ContentLength'], 0)
        self.s3.put_object(Bucket=self.bucket, Key='empty2', Body=b'')
        self.assertEqual(self.larder('cat', self.url + '/empty2'), b'')

    def test_markers_of_directories(self):
        for key in ('marked/', 'full/', 'full/a', 'full/b/', 'full/b/c/'):
            self.s3.put_object(Bucket=self.bucket, Key=key, Body=b'')
        self.assertEqual(self.lines('ls', self.url), ['full/', 'marked/'])
        self.assertEqual(self.lines('ls', self.url + '/marked'), [])
        self.assertEqual(self.lines('find', self.url), ['full/a'])
        self.assertEqual(self.lines('find', '--dirs', self.url), ['full/', 'full/a', 'full/b/', 'full/b/c/', 'marked/'])
        self.assertEqual(self.objects('stat', self.url + '/marked')[0]['type'], 'directory')
        self.larder('rmdir', self.url + '/marked')
        self.larder('rmdir', self.url + '/full', code=1)
        self.larder('rm', self.url + '/full/a')
        self.assertEqual(self.keys(), ['full/', 'full/b/', 'full/b/c/'])
        self.larder('rm', '-r', self.url + '/full')
        self.assertEqual(self.keys(), [])

    def test_signed_urls_of_each_other(self):
        self.larder('pipe', self.url + '/a b/ü', stdin=b'signed')
        url = self.s3.generate_presigned_url('get_object', Params={'Bucket': self.bucket, 'Key': 'a b/ü'})
        self.assertEqual(self.larder('cat', '--literal', url), b'signed')


class Rclone(Peer):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        need('rclone')

    def rclone(self, *args):
        remote = ['--config', '/dev/null', '--s3-provider', 'Ceph', '--s3-env-auth', '--s3-endpoint', self.server.url,
                  '--s3-upload-cutoff', '5M', '--s3-chunk-size', '5M']
        done = subprocess.run(['rclone', *args, *remote], capture_output=True, env=self.environment, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def local(self):
        keys = ['a', 'd/b c', 'd/e/é', 'plus+%41', 'empty', 'large', '-dash', 'd.e', 'quote"<&>', 'é€😀/x']
        return self.tree({k: LARGE if k == 'large' else b'' if k == 'empty' else self.content(k) for k in keys}), keys

    def test_trees_that_larder_writes(self):
        tree, keys = self.local()
        self.larder('-o', 's3.content_type=text/x-larder', '-o', 's3.metadata=color: blue', 'put', '-r', f'{tree}/',
                    self.url + '/t')
        self.rclone('check', '--download', str(tree), f':s3:{self.bucket}/t')
        listed = json.loads(self.rclone('lsjson', '-R', '--files-only', '--metadata', f':s3:{self.bucket}/t'))
        self.assertEqual(sorted(o['Path'] for o in listed), sorted(keys))
        for found in listed:
            self.assertEqual((found['MimeType'], found['Metadata']['color']), ('text/x-larder', 'blue'))

    def test_trees_that_rclone_writes(self):
        tree, keys = self.local()
        self.rclone('copy', str(tree), f':s3:{self.bucket}/t')
        self.larder('get', '-r', self.url + '/t/', f'{self.dir}/back/')
        for key in keys:
            self.assertEqual((self.dir / 'back' / key).read_bytes(), (tree / key).read_bytes())
        kept = self.objects('stat', '-a', self.url + '/t/large')[0]['properties']
        self.assertIn('metadata.mtime', kept)
        self.assertIn('metadata.md5chksum', kept)


if __name__ == '__main__':
    unittest.main()
