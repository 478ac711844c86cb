/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire RTT_MS: two network namespaces and a wire between them on which every packet takes half of RTT_MS, as long as
 * this process lives. Prints the paths of both, the one with 10.99.0.1 first; the other one has 10.99.0.2.
 *
 * wire in PATH COMMAND...: run the command in one of them.
 *
 * Needs root and /dev/net/tun. A packet is an IP packet of a TUN device: what one end sends is written to the other
 * once it is due.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <arpa/inet.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <linux/if_tun.h>

#include "bench.h"

#define MTU         9000 /* large: it is the wire that is meant to be slow, not the copying */
#define PACKETS_MAX 8192 /* under way in one direction; more are lost, as on any wire */
#define DEVICE      "wire"

/* ---- an end: a namespace with a device ---- */

static void call(bool failed, const char *what)
{
    if (failed)
        bench_die("%s: %s", what, strerror(errno));
}

static void set_address(int control, struct ifreq *request, unsigned long what, const char *address)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    inet_pton(AF_INET, address, &in.sin_addr);
    memcpy(&request->ifr_addr, &in, sizeof in);
    call(ioctl(control, what, request) < 0, address);
}

static void raise_device(int control, const char *name)
{
    struct ifreq request = {.ifr_flags = IFF_UP};
    strcpy(request.ifr_name, name);
    call(ioctl(control, SIOCSIFFLAGS, &request) < 0, name);
}

/* This process is in the new namespace afterwards; *space keeps it. */
static int make_end(const char *address, int *space)
{
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    strcpy(request.ifr_name, DEVICE);
    call(unshare(CLONE_NEWNET) < 0, "unshare");
    *space = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    int tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), control = socket(AF_INET, SOCK_DGRAM, 0);
    call(*space < 0 || tun < 0 || control < 0, "/dev/net/tun");
    call(ioctl(tun, TUNSETIFF, &request) < 0, "TUNSETIFF");
    set_address(control, &request, SIOCSIFADDR, address);
    set_address(control, &request, SIOCSIFNETMASK, "255.255.255.0");
    request.ifr_mtu = MTU;
    call(ioctl(control, SIOCSIFMTU, &request) < 0, "SIOCSIFMTU");
    raise_device(control, DEVICE);
    raise_device(control, "lo");
    close(control);
    return tun;
}

/* ---- packets under way ---- */

struct packet {
    double due;
    size_t size;
    char data[MTU];
};
struct way { /* a ring: [first, first + count) */
    int from, to;
    struct packet *packets;
    size_t first, count;
};

static void take_packets(struct way *way, double delay)
{
    static struct packet lost;
    while (true) {
        bool full = way->count == PACKETS_MAX;
        struct packet *packet = full ? &lost : &way->packets[(way->first + way->count) % PACKETS_MAX];
        ssize_t size = read(way->from, packet->data, sizeof packet->data);
        if (size <= 0)
            return;
        packet->size = (size_t)size;
        packet->due = bench_now() + delay;
        way->count += !full;
    }
}

/* Until when there is nothing to send. */
static double send_due(struct way *way, double now)
{
    while (way->count > 0 && way->packets[way->first].due <= now) {
        struct packet *packet = &way->packets[way->first];
        if (write(way->to, packet->data, packet->size) < 0 && errno != EAGAIN)
            call(errno != EIO && errno != EINVAL, "write");
        way->first = (way->first + 1) % PACKETS_MAX;
        way->count--;
    }
    return way->count > 0 ? way->packets[way->first].due : now + 1;
}

static void carry(struct way ways[2], double delay)
{
    while (true) {
        double next = bench_now() + 1;
        for (int i = 0; i < 2; i++) {
            take_packets(&ways[i], delay);
            double due = send_due(&ways[i], bench_now());
            next = due < next ? due : next;
        }
        double left = next - bench_now();
        struct timespec timeout = {.tv_nsec = left > 0 ? (long)(left * 1e9) % 1000000000 : 0,
                                   .tv_sec = left >= 1};
        struct pollfd polled[2] = {{.fd = ways[0].from, .events = POLLIN},
                                   {.fd = ways[1].from, .events = POLLIN}};
        call(ppoll(polled, 2, &timeout, NULL) < 0 && errno != EINTR, "ppoll");
        if (getppid() == 1)
            return; /* who wanted the wire is gone */
    }
}

static int run_in(const char *path, char **command)
{
    int space = open(path, O_RDONLY | O_CLOEXEC);
    call(space < 0 || setns(space, CLONE_NEWNET) < 0, path);
    execvp(command[0], command);
    bench_die("%s: %s", command[0], strerror(errno));
}

int main(int argc, char **argv)
{
    if (argc > 3 && strcmp(argv[1], "in") == 0)
        return run_in(argv[2], argv + 3);
    double delay = argc == 2 ? (double)bench_count(argv[1]) / 2000 : 0;
    if (argc != 2)
        bench_die("usage: wire RTT_MS | wire in PATH COMMAND...");
    int spaces[2], tuns[2];
    prctl(PR_SET_TIMERSLACK, 1UL);
    tuns[0] = make_end("10.99.0.1", &spaces[0]);
    tuns[1] = make_end("10.99.0.2", &spaces[1]);
    struct way ways[2] = {{.from = tuns[0], .to = tuns[1]}, {.from = tuns[1], .to = tuns[0]}};
    for (int i = 0; i < 2; i++)
        ways[i].packets = bench_alloc(PACKETS_MAX * sizeof *ways[i].packets);
    printf("/proc/%d/fd/%d /proc/%d/fd/%d\n", getpid(), spaces[0], getpid(), spaces[1]);
    fflush(stdout);
    carry(ways, delay);
    return 0;
}
