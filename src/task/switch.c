/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ucontext brings a fiber onto its stack once; from then on sigsetjmp and siglongjmp switch, without the two system
 * calls of swapcontext (14 ns against 254).
 */
#include "task/switch.h"

#include <assert.h>
#include <stdint.h>
#include <sys/mman.h>
#include <ucontext.h>

#ifdef LARDER_HAVE_VALGRIND
#include <valgrind/valgrind.h>
#else
#define VALGRIND_STACK_REGISTER(low, high) 0
#define VALGRIND_STACK_DEREGISTER(id)      ((void)(id))
#endif

#include "base/seams.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define WITH_TSAN 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define WITH_ASAN 1
#endif
#ifdef __SANITIZE_THREAD__
#define WITH_TSAN 1
#endif

/* Declared here, since a clang may come without the sanitizers' headers. */
#ifdef WITH_ASAN
void __sanitizer_start_switch_fiber(void **fake_stack, const void *low, size_t size);
void __sanitizer_finish_switch_fiber(void *fake_stack, const void **low, size_t *size);
#define STACK_SIZE ((size_t)1024 * 1024) /* red zones make frames several times larger */
#define UNSEEN     __attribute__((no_sanitize_address))
#elif defined(WITH_TSAN)
void *__tsan_get_current_fiber(void);
void *__tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void *fiber);
void __tsan_switch_to_fiber(void *fiber, unsigned flags);
#define STACK_SIZE ((size_t)512 * 1024)
#define UNSEEN     __attribute__((no_sanitize_thread))
#else
#define STACK_SIZE ((size_t)256 * 1024)
#define UNSEEN
#endif
/* More than a page: user code and other libraries are built without -fstack-clash-protection. Takes no memory. */
#define GUARD_SIZE ((size_t)64 * 1024)
#define SLAB_COUNT 32

struct fiber_slab {
    struct fiber_slab *next;
    char *memory;
    struct fiber fibers[SLAB_COUNT];
};

/* _FORTIFY_SOURCE takes a jump between stacks for a corrupted one; it knows siglongjmp by its C name only. */
void jump_to(sigjmp_buf place, int value) __asm__("siglongjmp") __attribute__((noreturn));

/* ---- what the tools are told ---- */

/* `ends`: the fiber's frames are not needed any more, so that ASan frees what it keeps of them. */
static inline UNSEEN __attribute__((always_inline)) void announce_leave(struct fiber *from, struct fiber *to,
                                                                        bool ends)
{
#ifdef WITH_ASAN
    from->fake_stack = NULL;
    __sanitizer_start_switch_fiber(ends ? NULL : &from->fake_stack, to->low, to->size);
#elif defined(WITH_TSAN)
    __tsan_switch_to_fiber(to->tsan, 0);
#else
    (void)from;
    (void)to;
    (void)ends;
#endif
}

/* A fiber is only ever entered from its host, whose bounds ASan tells on the way: a host may be any stack. */
static inline UNSEEN __attribute__((always_inline)) void announce_arrival(struct fiber *fiber)
{
#ifdef WITH_ASAN
    const void *low = NULL;
    size_t size = 0;
    __sanitizer_finish_switch_fiber(fiber->fake_stack, &low, &size);
    if (fiber->host != NULL) {
        fiber->host->low = (char *)(uintptr_t)low;
        fiber->host->size = size;
    }
#else
    (void)fiber;
#endif
}

static void announce_birth(struct fiber *fiber)
{
#ifdef WITH_TSAN
    fiber->tsan = __tsan_create_fiber(0);
#else
    (void)fiber;
#endif
}

static void announce_death(struct fiber *fiber)
{
#ifdef WITH_TSAN
    if (fiber->tsan != NULL)
        __tsan_destroy_fiber(fiber->tsan);
#endif
    fiber->tsan = NULL;
}

/* ---- the switch ---- */

static _Thread_local struct fiber *newborn;
static void fiber_main(void);

/* Onto the fiber's stack for the first time. The only place that needs ucontext, which musl lacks. */
static UNSEEN __attribute__((noinline, noreturn)) void enter_newborn(struct fiber *fiber)
{
    ucontext_t context;
    int rc = getcontext(&context);
    assert(rc == 0);
    context.uc_stack.ss_sp = fiber->low;
    context.uc_stack.ss_size = fiber->size;
    context.uc_link = NULL;
    makecontext(&context, fiber_main, 0);
    newborn = fiber;
    setcontext(&context);
    __builtin_trap();
}

/* Its own frame, which the compiler may neither inline nor share: `from->frame` is where gdb starts. */
static __attribute__((noinline)) UNSEEN void switch_stacks(struct fiber *from, struct fiber *to, bool ends)
{
    from->frame = __builtin_frame_address(0);
    if (sigsetjmp(from->place, 0) == 0) {
        announce_leave(from, to, ends);
        if (to->born)
            jump_to(to->place, 1);
        enter_newborn(to);
    }
    announce_arrival(from);
}

/* The bottom of every fiber's stack. It outlives the task, so that a pooled stack needs no second birth. */
static UNSEEN void fiber_main(void)
{
    struct fiber *fiber = newborn;
    fiber->born = true;
    announce_arrival(fiber);
    for (;;) {
        fiber->run(fiber->arg);
        fiber->run = NULL;
        switch_stacks(fiber, fiber->host, true);
    }
}

void fiber_start(struct fiber *fiber, fiber_fn *run, void *arg)
{
    assert(fiber->run == NULL);
    fiber->run = run;
    fiber->arg = arg;
}

void fiber_resume(struct fiber *fiber, struct fiber *host)
{
    assert(fiber->run != NULL && host->host == NULL);
    fiber->host = host;
    host->born = true;
#ifdef WITH_TSAN
    host->tsan = __tsan_get_current_fiber();
#endif
    switch_stacks(host, fiber, false);
}

void fiber_suspend(struct fiber *fiber)
{
    switch_stacks(fiber, fiber->host, false);
}

/* ---- the pool ---- */

static struct fiber *cut_fiber(struct fiber_pool *pool)
{
    if (pool->slabs == NULL || pool->cut == SLAB_COUNT) {
        struct fiber_slab *slab = mem_zero(sizeof(*slab));
        if (slab == NULL)
            return NULL;
        slab->memory = mmap(NULL, SLAB_COUNT * (GUARD_SIZE + STACK_SIZE), PROT_NONE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
        if (slab->memory == MAP_FAILED) {
            mem_free(slab);
            return NULL;
        }
        slab->next = pool->slabs;
        pool->slabs = slab;
        pool->cut = 0;
    }
    struct fiber *fiber = &pool->slabs->fibers[pool->cut];
    char *low = pool->slabs->memory + pool->cut * (GUARD_SIZE + STACK_SIZE) + GUARD_SIZE;
    if (mprotect(low, STACK_SIZE, PROT_READ | PROT_WRITE) != 0)
        return NULL;
    pool->cut++;
    fiber->low = low;
    fiber->size = STACK_SIZE - FIBER_SPACE;
    fiber->valgrind = VALGRIND_STACK_REGISTER(low, low + STACK_SIZE);
    return fiber;
}

struct fiber *fiber_get(struct fiber_pool *pool)
{
    struct fiber *fiber = pool->warm;
    if (fiber != NULL) {
        pool->warm = fiber->next;
        pool->warm_count--;
        return fiber;
    }
    fiber = pool->cold;
    if (fiber != NULL)
        pool->cold = fiber->next;
    else
        fiber = cut_fiber(pool);
    if (fiber != NULL)
        announce_birth(fiber);
    return fiber;
}

void fiber_put(struct fiber_pool *pool, struct fiber *fiber)
{
    assert(fiber->run == NULL);
    struct fiber **list = &pool->warm;
    if (pool->warm_count < FIBERS_WARM && fiber->born) {
        pool->warm_count++;
    } else {
        list = &pool->cold;
        fiber->born = false;
        announce_death(fiber);
        madvise(fiber->low, STACK_SIZE, MADV_DONTNEED);
    }
    fiber->next = *list;
    *list = fiber;
}

void fiber_pool_fini(struct fiber_pool *pool)
{
    unsigned cut = pool->cut;
    for (struct fiber_slab *slab = pool->slabs, *next; slab != NULL; slab = next, cut = SLAB_COUNT) {
        next = slab->next;
        for (unsigned i = 0; i < cut; i++) {
            assert(slab->fibers[i].run == NULL);
            announce_death(&slab->fibers[i]);
            VALGRIND_STACK_DEREGISTER(slab->fibers[i].valgrind);
        }
        munmap(slab->memory, SLAB_COUNT * (GUARD_SIZE + STACK_SIZE));
        mem_free(slab);
    }
    *pool = (struct fiber_pool){0};
}
