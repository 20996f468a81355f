/* The pool: workers that spin a little for the next task, then sleep.
 *
 * One call at a time owns it; another that comes meanwhile runs alone. After a fork the child has
 * none of the workers and starts its own. */
#if !defined(_WIN32)
#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#endif
#include "threads.h"
#include "denormals.h"
#include "threads_os.h"

/* Below so many operations (some 50 microseconds) a part costs more to hand over than to do. */
#define LEAST_WORK 4.0e6

/* Below so many, a call whose workers are all asleep is as fast alone: it takes one of them some
 * 100 microseconds to come. Measured at 12e6, 26e6 and 105e6: 0.90, 0.99 and 1.73 times the speed.
 */
#define LEAST_WORK_TO_WAKE 32.0e6

/* But so many calls in a row, each so soon after the last, will be followed by more. */
enum { IN_A_ROW = 8, SOON = 100 /* microseconds */ };

/* Microseconds that a worker spins for the next task, and a part for another part. A part that has
 * waited so long waits for one that has lost its processor: asleep, it offers its own. */
enum { PATIENCE = 150, PATIENCE_WITHIN_A_TASK = 50 };

/* Bytes of weights that a part is worth, of parts that meet after each step: a second cache's
 * share. Weights that one such cache holds are read 1.35 times as fast by two (n_a = 512, m = 1),
 * but at 0.4 times the speed while something else wants a processor; those that only two hold, 3
 * times. */
#define LEAST_BYTES (1 << 20)

/* Rows of a part: two thirds of a tile. */
enum { LEAST_ROWS = 4 };

enum { MOST_WORKERS = 63 };

static os_lock owner = OS_LOCK; /* held by the call that uses the pool */
static os_lock lock = OS_LOCK;  /* of all below that is not atomic */

/* Where threads sleep until a number changes; each change is followed by `rouse`. */
typedef struct {
    os_condition changed;
    os_int sleepers;
} bed;
static bed idle = {OS_CONDITION, 0}; /* workers without a task */
static bed late = {OS_CONDITION, 0}; /* parts that wait for others */

static struct {
    crnn_task task;
    const void *call;
    int parts, together;
} job;
static os_int generation; /* of jobs */
static os_int next_part;  /* of the job that no thread has taken */
static os_int unfinished; /* parts of the job */
static os_int readers;    /* workers that may still look at the job */
static os_int here;       /* parts that wait in crnn_meet, and */
static os_int meeting;    /* the number of their meeting */
static os_int workers;
static int hired_at[MOST_WORKERS + 1]; /* the generation that a new worker has missed */

static os_int calls_in_a_row; /* that came soon after one another, and */
static os_int ended;          /* microseconds, modulo 2^32: when the last one ended */

static void wait_while(os_int *number, int value, bed *bed, int patience) {
    const int64_t began = os_microseconds();
    for (int spin = 1; os_get(number) == value; spin++) {
        os_pause();
        if (spin % 64 != 0 || os_microseconds() - began < patience)
            continue;
        os_acquire(&lock);
        os_add(&bed->sleepers, 1);
        while (os_get(number) == value)
            os_wait(&bed->changed, &lock);
        os_add(&bed->sleepers, -1);
        os_release(&lock);
    }
}

static void wait_until_none(os_int *number) {
    for (int n; (n = os_get(number)) > 0;)
        wait_while(number, n, &late, PATIENCE_WITHIN_A_TASK);
}

static void rouse(bed *bed) {
    if (os_get(&bed->sleepers) > 0) {
        os_acquire(&lock);
        os_wake_all(&bed->changed);
        os_release(&lock);
    }
}

static int microseconds_since(int then) {
    return (int)((uint32_t)os_microseconds() - (uint32_t)then);
}

/* Whether it pays to hand out so much work now: workers are awake, will be worth the while, or the
 * caller is in a loop. */
static int worth_waking(double work) {
    const int since = microseconds_since(os_get(&ended));
    if (since < 0 || since > SOON)
        os_set(&calls_in_a_row, 0);
    const int in_a_row = os_add(&calls_in_a_row, 1);
    return work >= LEAST_WORK_TO_WAKE || in_a_row >= IN_A_ROW ||
           os_get(&idle.sleepers) < os_get(&workers);
}

static int cut(int threads, ptrdiff_t units, double work) {
    double parts = work / LEAST_WORK;
    if (parts > threads)
        parts = threads;
    if (parts > (double)units)
        parts = (double)units;
    return parts < 1 ? 1 : (int)parts;
}

int crnn_parts(int threads, ptrdiff_t units, double work) {
    const int parts = cut(threads, units, work);
    return parts > 1 && worth_waking(work) ? parts : 1;
}

int crnn_row_parts(int threads, ptrdiff_t rows, double work) {
    return crnn_parts(threads, rows / LEAST_ROWS, work);
}

int crnn_column_parts(int threads, ptrdiff_t panels, double bytes) {
    return cut(threads, panels, bytes / LEAST_BYTES * LEAST_WORK);
}

static void run_part(int part, int parts, crnn_task task, const void *call) {
    const crnn_denormals before = crnn_denormals_off();
    task(call, part, parts);
    crnn_denormals_restore(before);
}

/* Take parts of the job until none is left; in a job of parts that meet, one. */
static void take_parts(crnn_task task, const void *call, int parts, int together) {
    int part;
    while ((part = os_add(&next_part, 1)) < parts) {
        run_part(part, parts, task, call);
        os_add(&unfinished, -1);
        rouse(&late);
        if (together)
            break;
    }
}

OS_THREAD(work, number) {
    int seen = hired_at[(ptrdiff_t)number];
    for (;;) {
        wait_while(&generation, seen, &idle, PATIENCE);
        os_acquire(&lock);
        seen = os_get(&generation);
        const crnn_task task = job.task;
        const void *call = job.call;
        const int parts = job.parts, together = job.together;
        if (task != NULL) /* not over already */
            os_add(&readers, 1);
        os_release(&lock);
        if (task != NULL) {
            take_parts(task, call, parts, together);
            os_add(&readers, -1);
            rouse(&late);
        }
    }
    return 0;
}

/* Make workers 1 to `wanted`; whether there are so many. */
static int hire(int wanted) {
    while (os_get(&workers) < wanted) {
        const int number = os_get(&workers) + 1;
        if (number > MOST_WORKERS)
            return 0;
        hired_at[number] = os_get(&generation);
        if (!os_start(work, (void *)(ptrdiff_t)number))
            return 0;
        os_set(&workers, number);
    }
    return 1;
}

#if !defined(_WIN32)
static void before_fork(void) {
    os_acquire(&owner);
    os_acquire(&lock);
}

static void in_parent(void) {
    os_release(&lock);
    os_release(&owner);
}

static void in_child(void) {
    pthread_cond_init(&idle.changed, NULL);
    pthread_cond_init(&late.changed, NULL);
    os_set(&idle.sleepers, 0);
    os_set(&late.sleepers, 0);
    os_set(&workers, 0);
    os_set(&readers, 0);
    in_parent();
}

static void watch_forks_once(void) { pthread_atfork(before_fork, in_parent, in_child); }

static void watch_forks(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks_once);
}
#else
static void watch_forks(void) {}
#endif

/* Become the pool's owner, with workers for so many parts. */
static int own(int parts) {
    watch_forks();
    if (parts < 2 || !os_try(&owner))
        return 0;
    if (hire(parts - 1))
        return 1;
    os_release(&owner);
    return 0;
}

static void post(crnn_task task, const void *call, int parts, int together) {
    os_acquire(&lock);
    job.task = task;
    job.call = call;
    job.parts = parts;
    job.together = together;
    os_set(&next_part, 0);
    os_set(&unfinished, parts);
    os_add(&generation, 1);
    os_release(&lock);
    rouse(&idle);
}

/* Wait until every part is done and no worker looks at the job any more. */
static void finish(void) {
    wait_until_none(&unfinished);
    os_acquire(&lock);
    job.task = NULL;
    os_release(&lock);
    wait_until_none(&readers);
    os_release(&owner);
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
    os_set(&ended, (int)os_microseconds());
}

void crnn_run_together(int parts, crnn_task task, const void *call) {
    if (own(parts))
        run(parts, task, call, 1);
    else
        run_part(0, 1, task, call);
}

void crnn_meet(int parts) {
    const int this_meeting = os_get(&meeting);
    if (os_add(&here, 1) + 1 == parts) {
        os_set(&here, 0);
        os_add(&meeting, 1);
        rouse(&late);
    } else {
        wait_while(&meeting, this_meeting, &late, PATIENCE_WITHIN_A_TASK);
    }
}
