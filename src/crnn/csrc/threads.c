/* The pool: workers that spin a little for the next task, then sleep.
 *
 * One call at a time owns it; another that comes meanwhile runs alone. After a fork the child has
 * none of the workers and starts its own. */
#if defined(__linux__)
#define _GNU_SOURCE /* sched_getcpu */
#elif !defined(_WIN32)
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

/* Microseconds that a worker spins for the next task, and a caller for the last parts of its own.
 * What it waits for longer has lost its processor: asleep, the caller offers its own. */
enum { PATIENCE = 150, PATIENCE_TO_FINISH = 50 };

/* The least work of a step for each of the parts that meet after it, which takes half a
 * microsecond.
 */
#define LEAST_STEP 1.0e5

/* Parts that meet wait for the slowest, and before they begin, for each to have a thread. Where
 * such waits beyond patience take a quarter of a call or more, another program has a processor, and
 * the next calls run alone, twice as many each time, until one is in time: with a processor lost to
 * others, meetings at n_a = 256 made a call take 5 times as long. */
enum { PATIENCE_TO_BEGIN = 400, PATIENCE_TO_MEET = 200 /* microseconds */, MOST_ALONE = 1024 };

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
    int processor; /* where the caller runs, or -1 */
} job;
static os_int generation; /* of jobs */
static os_int next_part;  /* of the job that no thread has taken */
static os_int unfinished; /* parts of the job */
static os_int readers;    /* workers that may still look at the job */
static os_int workers;
static int hired_at[MOST_WORKERS + 1]; /* the generation that a new worker has missed */

/* Of parts that meet: how many meetings each has come to, in a cache line of its own. */
static struct {
    _Alignas(64) os_int meetings;
} met[MOST_WORKERS + 1];
enum { NOT_YET, GO, NO_GO };
static os_int decision; /* once each part has a thread, or one has none */
static os_int too_late; /* microseconds that parts, all together, waited beyond patience */
static os_int alone;    /* calls that shall not run together, of */
static os_int penalty;  /* so many */

static os_int calls_in_a_row; /* that came soon after one another, and */
static os_int ended;          /* microseconds, modulo 2^32: when the last one ended */

/* The microseconds that it took, where those are more than the patience. */
static int wait_while(os_int *number, int value, bed *bed, int patience) {
    const int64_t began = os_microseconds();
    int slept = 0;
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
        slept = 1;
    }
    return slept ? (int)(os_microseconds() - began) : 0;
}

static void wait_until_none(os_int *number) {
    for (int n; (n = os_get(number)) > 0;)
        wait_while(number, n, &late, PATIENCE_TO_FINISH);
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

int crnn_column_parts(int threads, ptrdiff_t panels, double step, ptrdiff_t steps) {
    const int worth = cut(threads, panels, step / LEAST_STEP * LEAST_WORK);
    return worth > 1 ? crnn_parts(worth, panels, step * (double)steps) : 1;
}

static void run_part(int part, int parts, crnn_task task, const void *call) {
    const crnn_denormals before = crnn_denormals_off();
    task(call, part, parts);
    crnn_denormals_restore(before);
}

static void part_is_done(void) {
    os_add(&unfinished, -1);
    rouse(&late);
}

/* Take parts of the job until none is left. */
static void take_parts(crnn_task task, const void *call, int parts) {
    int part;
    while ((part = os_add(&next_part, 1)) < parts) {
        run_part(part, parts, task, call);
        part_is_done();
    }
}

/* Take one part of a job of parts that meet, if one is left, and wait for the others to be taken.
 */
static void take_part_together(crnn_task task, const void *call, int parts) {
    const int part = os_add(&next_part, 1);
    if (part >= parts)
        return;
    wait_while(&decision, NOT_YET, &late, PATIENCE_TO_BEGIN);
    if (os_get(&decision) == GO)
        run_part(part, parts, task, call);
    part_is_done();
}

/* Linux may wake a worker on the caller's own processor, and leave it there for milliseconds while
 * another is idle: such a worker moves away. */
#if defined(__linux__)
static int processor(void) { return sched_getcpu(); }

static void leave(int callers) {
    cpu_set_t allowed, others;
    if (callers < 0 || sched_getcpu() != callers ||
        sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return;
    others = allowed;
    CPU_CLR(callers, &others);
    if (CPU_COUNT(&others) > 0 && sched_setaffinity(0, sizeof others, &others) == 0)
        sched_setaffinity(0, sizeof allowed, &allowed);
}
#else
static int processor(void) { return -1; }
static void leave(int callers) { (void)callers; }
#endif

OS_THREAD(work, number) {
    int seen = hired_at[(ptrdiff_t)number];
    for (;;) {
        wait_while(&generation, seen, &idle, PATIENCE);
        os_acquire(&lock);
        seen = os_get(&generation);
        const crnn_task task = job.task;
        const void *call = job.call;
        const int parts = job.parts, together = job.together, callers = job.processor;
        if (task != NULL) /* not over already */
            os_add(&readers, 1);
        os_release(&lock);
        if (task != NULL) {
            leave(callers);
            (together ? take_part_together : take_parts)(task, call, parts);
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
    job.processor = processor();
    for (int part = 0; together && part < parts; part++)
        os_set(&met[part].meetings, 0);
    os_set(&decision, NOT_YET);
    os_set(&next_part, together); /* the caller has the first */
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

void crnn_run(int parts, crnn_task task, const void *call) {
    if (own(parts)) {
        post(task, call, parts, 0);
        take_parts(task, call, parts);
        finish();
    } else {
        for (int part = 0; part < parts; part++)
            run_part(part, parts, task, call);
    }
    os_set(&ended, (int)os_microseconds());
}

/* A job of parts that meet: all of them, or, where one has no thread in time, the task as one.
 * Whether it was worth it. */
static int run_together(int parts, crnn_task task, const void *call) {
    post(task, call, parts, 1);
    const int64_t began = os_microseconds();
    for (int spin = 1; os_get(&next_part) < parts && os_microseconds() - began < PATIENCE_TO_BEGIN;
         spin++) {
        os_pause();
        if (spin % 256 == 0) /* a worker that woke on this processor wants it, to leave */
            os_yield();
    }
    const int taken = os_add(&next_part, parts); /* and no part can be taken any more */
    const int all = taken >= parts;
    if (!all)
        os_add(&unfinished, taken - parts);
    os_set(&decision, all ? GO : NO_GO);
    rouse(&late);
    run_part(0, all ? parts : 1, task, call);
    part_is_done();
    finish();
    return all && 4 * (int64_t)os_get(&too_late) < (parts - 1) * (os_microseconds() - began);
}

void crnn_run_together(int parts, crnn_task task, const void *call) {
    if (os_get(&alone) > 0) {
        os_add(&alone, -1);
        run_part(0, 1, task, call);
    } else if (own(parts)) {
        const int before = os_get(&penalty), twice = before < MOST_ALONE ? 2 * before : before;
        os_set(&too_late, 0);
        const int worth = run_together(parts, task, call);
        os_set(&penalty, worth ? 0 : before > 0 ? twice : 1);
        os_set(&alone, os_get(&penalty));
    } else {
        run_part(0, 1, task, call);
    }
    os_set(&ended, (int)os_microseconds());
}

void crnn_meet(int part, int parts) {
    const int number = os_get(&met[part].meetings) + 1;
    os_set(&met[part].meetings, number);
    rouse(&late);
    for (int other = 0; other < parts; other++)
        for (int theirs; (theirs = os_get(&met[other].meetings)) < number;) {
            const int waited = wait_while(&met[other].meetings, theirs, &late, PATIENCE_TO_MEET);
            if (waited > 0)
                os_add(&too_late, waited);
        }
}
