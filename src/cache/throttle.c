/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/throttle.h"

#include "base/seams.h"

#define BURST_NS       50000000ULL /* what an idle time gives on top of the rate, at most */
#define PIECES         32          /* a second: so smooth is it */
#define PIECE_SIZE_MIN 128

static uint64_t cost_ns(const struct throttle *throttle, size_t size)
{
    return (uint64_t)((double)size * 1e9 / (double)throttle->rate);
}

int throttle_take(struct throttle *throttle, size_t *size)
{
    uint64_t piece = throttle->rate / PIECES, now = now_ns();
    if (throttle->rate == 0)
        return 0;
    if (piece < PIECE_SIZE_MIN)
        piece = PIECE_SIZE_MIN;
    if (*size > piece)
        *size = (size_t)piece;
    if (throttle->paid_ns + BURST_NS < now)
        throttle->paid_ns = now - BURST_NS;
    uint64_t turn_ns = throttle->paid_ns;
    throttle->paid_ns += cost_ns(throttle, *size);
    return turn_ns > now ? task_sleep((turn_ns - now) / 1000000 + 1) : 0;
}

void throttle_give_back(struct throttle *throttle, size_t size)
{
    if (throttle->rate)
        throttle->paid_ns -= cost_ns(throttle, size);
}
