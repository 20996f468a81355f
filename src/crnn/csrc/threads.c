/* The pool: workers that spin a little for the next task, then sleep.
 *
 * One call at a time owns it; another that comes meanwhile runs alone. After a fork the child has
 * none of the workers and starts its own. */
#include "threads.h"
#include "denormals.h"

/* Below so many operations (some 20 microseconds) a part costs more to hand over than to do. */
#define LEAST_WORK 4.0e6

/* Bytes of weights that a part is worth, of parts that meet after each step: a second cache's
 * share. Weights that one such cache holds are read 1.35 times as fast by two (n_a = 512, m = 1),
 * but at 0.4 times the speed while something else wants a processor; those that only two hold, 3
 * times. */
#define LEAST_BYTES (1 << 20)

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

int crnn_column_parts(int threads, ptrdiff_t panels, double bytes) {
    return crnn_parts(threads, panels, bytes / LEAST_BYTES * LEAST_WORK);
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

enum { MOST_WORKERS = 63, SPINS = 4000 };

static pthread_mutex_t owner = PTHREAD_MUTEX_INITIALIZER; /* held by the call that uses the pool */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;  /* of all below that is not atomic */
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static struct {
    crnn_task task;
    const void *call;
    int parts, together;
} job;
static atomic_uint generation; /* of jobs */
static atomic_int next_part;   /* of the job that no thread has taken */
static atomic_int unfinished;  /* parts of the job */
static atomic_int readers;     /* workers that may still look at the job */
static atomic_int here;        /* parts that wait in crnn_meet, and */
static atomic_uint meeting;    /* the number of their meeting */
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

/* Take parts of the job until none is left; in a job of parts that meet, one. */
static void take_parts(crnn_task task, const void *call, int parts, int together) {
    int part;
    while ((part = atomic_fetch_add(&next_part, 1)) < parts) {
        run_part(part, parts, task, call);
        atomic_fetch_sub(&unfinished, 1);
        if (together)
            break;
    }
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
        const int parts = job.parts, together = job.together;
        if (task != NULL) /* not over already */
            atomic_fetch_add(&readers, 1);
        pthread_mutex_unlock(&lock);
        if (task != NULL) {
            take_parts(task, call, parts, together);
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
    atomic_store(&next_part, 0);
    atomic_store(&unfinished, parts);
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

static void run(int parts, crnn_task task, const void *call, int together) {
    post(task, call, parts, together);
    take_parts(task, call, parts, together);
    finish();
}

void crnn_run(int parts, crnn_task task, const void *call) {
    if (own(parts))
        run(parts, task, call, 0);
    else
        for (int part = 0; part < parts; part++)
            run_part(part, parts, task, call);
}

void crnn_run_together(int parts, crnn_task task, const void *call) {
    if (own(parts))
        run(parts, task, call, 1);
    else
        run_part(0, 1, task, call);
}

void crnn_meet(int parts) {
    const unsigned this_meeting = atomic_load(&meeting);
    if (atomic_fetch_add(&here, 1) + 1 == parts) {
        atomic_store(&here, 0);
        atomic_fetch_add(&meeting, 1);
    } else {
        for (int spin = 0; atomic_load(&meeting) == this_meeting; spin++)
            relax(spin);
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

void crnn_meet(int parts) { (void)parts; }

#endif
