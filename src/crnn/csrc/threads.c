/* The pool: workers that spin a little for the next task, then sleep.
 *
 * One call at a time owns it; another that comes meanwhile runs alone. After a fork the child has
 * none of the workers and starts its own. */
#include "threads.h"
#include "denormals.h"

/* Below so many operations (some 10 microseconds) a part costs more to hand over than to do. */
#define LEAST_WORK 1.0e6

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

static void run_parts(int first, int step, int parts, crnn_task task, const void *call) {
    const crnn_denormals before = crnn_denormals_off();
    for (int part = first; part < parts; part += step)
        task(call, part, parts);
    crnn_denormals_restore(before);
}

#if defined(__unix__) || defined(__APPLE__)

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { MOST_WORKERS = 63, SPINS = 4000 };

static pthread_mutex_t owner = PTHREAD_MUTEX_INITIALIZER; /* held by the call that uses the pool */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;  /* of all below */
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static struct {
    crnn_task task;
    const void *call;
    int parts;
} job;
static atomic_uint generation; /* of jobs */
static atomic_int pending;     /* parts of the job that workers have not finished */
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
        const int parts = job.parts;
        pthread_mutex_unlock(&lock);
        if (me < parts) {
            run_parts(me, parts, parts, task, call);
            atomic_fetch_sub(&pending, 1);
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
    atomic_store(&generation, 0);
    in_parent();
}

static void watch_forks(void) { pthread_atfork(before_fork, in_parent, in_child); }

void crnn_run(int parts, crnn_task task, const void *call) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (parts > 1 && pthread_mutex_trylock(&owner) == 0) {
        pthread_once(&once, watch_forks);
        if (hire(parts - 1) >= parts - 1) {
            pthread_mutex_lock(&lock);
            job.task = task;
            job.call = call;
            job.parts = parts;
            atomic_store(&pending, parts - 1);
            atomic_fetch_add(&generation, 1);
            pthread_cond_broadcast(&wake);
            pthread_mutex_unlock(&lock);
            run_parts(0, parts, parts, task, call);
            for (int spin = 0; atomic_load(&pending) > 0; spin++)
                relax(spin);
            pthread_mutex_unlock(&owner);
            return;
        }
        pthread_mutex_unlock(&owner);
    }
    run_parts(0, 1, parts, task, call);
}

#else /* elsewhere one thread does it all, with the same result */

void crnn_run(int parts, crnn_task task, const void *call) { run_parts(0, 1, parts, task, call); }

#endif
