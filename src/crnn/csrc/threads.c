/* The pool: workers that spin a little for the next task, then sleep.
 *
 * One call at a time owns it; another that comes meanwhile runs alone. After a fork the child has
 * none of the workers and starts its own. */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* sched_getcpu */
#endif
#include "threads.h"
#include "denormals.h"

/* Below so many operations (some 20 microseconds) a part costs more to hand over than to do. */
#define LEAST_WORK 4.0e6

/* The same for each step of parts that meet after it, which takes half a microsecond. */
#define LEAST_STEP 1.0e5

/* Rows of a part: two thirds of a tile. */
enum { LEAST_ROWS = 4 };

int crnn_parts(int threads, ptrdiff_t units, double work) {
    double parts = work / LEAST_WORK;
    if (parts > threads)
        parts = threads;
    if (parts > (double)units)
        parts = (double)units;
    return parts < 1 ? 1 : (int)parts;
}

int crnn_row_parts(int threads, ptrdiff_t rows, double work) {
    return crnn_parts(threads, rows / LEAST_ROWS, work);
}

int crnn_column_parts(int threads, ptrdiff_t panels, double step, ptrdiff_t steps) {
    const int worth = crnn_parts(threads, panels, step / LEAST_STEP * LEAST_WORK);
    return crnn_parts(worth, panels, step * (double)steps);
}

static void run_part(int part, int parts, crnn_task task, const void *call) {
    const crnn_denormals before = crnn_denormals_off();
    task(call, part, parts);
    crnn_denormals_restore(before);
}

#if defined(__unix__) || defined(__APPLE__)

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { MOST_WORKERS = 63, SPINS = 8000 };

/* Parts that meet wait for the slowest, and before they begin, for each to have a thread. Where one
 * is this late (some 100 microseconds, and 400: another program has its processor) the next calls
 * run alone, twice as many each time, until one is in time: with a processor lost to others,
 * meetings at n_a = 256 made a call take 5 times as long. */
enum { LATE = 4000, LATE_TO_BEGIN = 16000, MOST_ALONE = 1024 };
enum { NOT_YET, GO, NO_GO };

static pthread_mutex_t owner = PTHREAD_MUTEX_INITIALIZER; /* held by the call that uses the pool */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;  /* of all below that is not atomic */
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static struct {
    crnn_task task;
    const void *call;
    int parts, together;
    int processor; /* where the caller runs, or -1 */
} job;
static atomic_uint generation; /* of jobs */
static atomic_int next_part;   /* of the job that no thread has taken */
static atomic_int unfinished;  /* parts of the job */
static atomic_int readers;     /* workers that may still look at the job */
static atomic_int decision;    /* of parts that meet, once each has a thread or one has none */
static atomic_int late;        /* whether a part of the job came late to a meeting */
static atomic_int alone;       /* calls that shall not run together, of */
static atomic_int penalty;     /* so many */
static struct {
    _Alignas(64) atomic_uint number; /* of the meeting that a part has come to; a line of its own */
} met[MOST_WORKERS + 1];
static int workers;
static unsigned hired_at[MOST_WORKERS + 1]; /* the generation that a new worker has missed */

static void relax(int spin) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
    if (spin % 1000 == 999) /* the one that is waited for may need this processor */
        sched_yield();
}

/* Linux may wake a worker on the caller's own processor, and leave it there for milliseconds while
 * another is idle: such a worker moves away. */
static int processor(void) {
#if defined(__linux__)
    return sched_getcpu();
#else
    return -1;
#endif
}

static void step_aside(int callers) {
#if defined(__linux__)
    cpu_set_t allowed, others;
    if (callers < 0 || sched_getcpu() != callers ||
        sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return;
    others = allowed;
    CPU_CLR(callers, &others);
    if (CPU_COUNT(&others) > 0 && sched_setaffinity(0, sizeof others, &others) == 0)
        sched_setaffinity(0, sizeof allowed, &allowed);
#else
    (void)callers;
#endif
}

/* Take parts of the job until none is left. */
static void take_parts(crnn_task task, const void *call, int parts) {
    int part;
    while ((part = atomic_fetch_add(&next_part, 1)) < parts) {
        run_part(part, parts, task, call);
        atomic_fetch_sub(&unfinished, 1);
    }
}

/* Take one part of a job of parts that meet, if one is left, and wait for the others to be taken.
 */
static void take_part_together(crnn_task task, const void *call, int parts) {
    const int part = atomic_fetch_add(&next_part, 1);
    if (part >= parts)
        return;
    for (int spin = 0; atomic_load(&decision) == NOT_YET; spin++)
        relax(spin);
    if (atomic_load(&decision) == GO)
        run_part(part, parts, task, call);
    atomic_fetch_sub(&unfinished, 1);
}

static void *work(void *number) {
    const int me = (int)(ptrdiff_t)number;
    unsigned seen = hired_at[me];
    for (;;) {
        for (int spin = 0; spin < SPINS && atomic_load(&generation) == seen; spin++)
            relax(spin);
        pthread_mutex_lock(&lock);
        while (atomic_load(&generation) == seen)
            pthread_cond_wait(&wake, &lock);
        seen = atomic_load(&generation);
        const crnn_task task = job.task;
        const void *call = job.call;
        const int parts = job.parts, together = job.together, callers = job.processor;
        if (task != NULL) /* not over already */
            atomic_fetch_add(&readers, 1);
        pthread_mutex_unlock(&lock);
        if (task != NULL) {
            step_aside(callers);
            (together ? take_part_together : take_parts)(task, call, parts);
            atomic_fetch_sub(&readers, 1);
        }
    }
    return NULL;
}

/* Make workers 1 to `wanted`; how many there are. */
static int hire(int wanted) {
    while (workers < wanted && workers < MOST_WORKERS) {
        hired_at[workers + 1] = atomic_load(&generation);
        pthread_t thread;
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        const int failed =
            pthread_create(&thread, &attributes, work, (void *)(ptrdiff_t)(workers + 1));
        pthread_attr_destroy(&attributes);
        if (failed)
            break;
        workers++;
    }
    return workers;
}

static void before_fork(void) {
    pthread_mutex_lock(&owner);
    pthread_mutex_lock(&lock);
}

static void in_parent(void) {
    pthread_mutex_unlock(&lock);
    pthread_mutex_unlock(&owner);
}

static void in_child(void) {
    pthread_cond_init(&wake, NULL);
    workers = 0;
    atomic_store(&readers, 0);
    in_parent();
}

static void watch_forks(void) { pthread_atfork(before_fork, in_parent, in_child); }

/* Become the pool's owner, with workers for so many parts. */
static int own(int parts) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (parts < 2 || pthread_mutex_trylock(&owner) != 0)
        return 0;
    pthread_once(&once, watch_forks);
    if (hire(parts - 1) >= parts - 1)
        return 1;
    pthread_mutex_unlock(&owner);
    return 0;
}

static void post(crnn_task task, const void *call, int parts, int together) {
    pthread_mutex_lock(&lock);
    job.task = task;
    job.call = call;
    job.parts = parts;
    job.together = together;
    job.processor = processor();
    atomic_store(&next_part, together); /* the caller has the first */
    atomic_store(&decision, NOT_YET);
    atomic_store(&unfinished, parts);
    for (int part = 0; together && part < parts; part++)
        atomic_store(&met[part].number, 0);
    atomic_fetch_add(&generation, 1);
    pthread_cond_broadcast(&wake);
    pthread_mutex_unlock(&lock);
}

/* Wait until every part is done and no worker looks at the job any more. */
static void finish(void) {
    for (int spin = 0; atomic_load(&unfinished) > 0; spin++)
        relax(spin);
    pthread_mutex_lock(&lock);
    job.task = NULL;
    pthread_mutex_unlock(&lock);
    for (int spin = 0; atomic_load(&readers) > 0; spin++)
        relax(spin);
    pthread_mutex_unlock(&owner);
}

void crnn_run(int parts, crnn_task task, const void *call) {
    if (own(parts)) {
        post(task, call, parts, 0);
        take_parts(task, call, parts);
        finish();
    } else {
        for (int part = 0; part < parts; part++)
            run_part(part, parts, task, call);
    }
}

/* A job of parts that meet: all of them, or, where one has no thread in time, the task as one. */
static void run_together(int parts, crnn_task task, const void *call) {
    post(task, call, parts, 1);
    for (int spin = 0; spin < LATE_TO_BEGIN && atomic_load(&next_part) < parts; spin++)
        relax(spin);
    const int taken = atomic_exchange(&next_part, parts);
    if (taken >= parts) {
        atomic_store(&decision, GO);
        run_part(0, parts, task, call);
    } else {
        atomic_store(&late, 1);
        atomic_store(&decision, NO_GO);
        atomic_fetch_sub(&unfinished, parts - taken);
        run_part(0, 1, task, call);
    }
    atomic_fetch_sub(&unfinished, 1);
    finish();
}

void crnn_run_together(int parts, crnn_task task, const void *call) {
    if (atomic_load(&alone) > 0) {
        atomic_fetch_sub(&alone, 1);
        run_part(0, 1, task, call);
    } else if (!own(parts)) {
        run_part(0, 1, task, call);
    } else {
        const int before = atomic_load(&penalty), twice = before < MOST_ALONE ? 2 * before : before;
        atomic_store(&late, 0);
        run_together(parts, task, call);
        atomic_store(&penalty, !atomic_load(&late) ? 0 : before ? twice : 1);
        atomic_store(&alone, atomic_load(&penalty));
    }
}

void crnn_meet(int part, int parts) {
    const unsigned number = atomic_load_explicit(&met[part].number, memory_order_relaxed) + 1;
    atomic_store_explicit(&met[part].number, number, memory_order_release);
    for (int other = 0; other < parts; other++)
        for (int spin = 0;
             (int)(atomic_load_explicit(&met[other].number, memory_order_acquire) - number) < 0;
             spin++) {
            relax(spin);
            if (spin == LATE)
                atomic_store(&late, 1);
        }
}

#else /* elsewhere one thread does it all, with the same result */

void crnn_run(int parts, crnn_task task, const void *call) {
    for (int part = 0; part < parts; part++)
        run_part(part, parts, task, call);
}

void crnn_run_together(int parts, crnn_task task, const void *call) {
    (void)parts;
    run_part(0, 1, task, call);
}

void crnn_meet(int part, int parts) {
    (void)part;
    (void)parts;
}

#endif
