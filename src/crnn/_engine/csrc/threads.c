/* The thread pool.
 *
 * A call posts a task, which is cut into parts; workers and the calling thread take parts until
 * none is left. A worker without a part spins for a short time and then sleeps. One call at a time
 * uses the pool; a call that finds it in use runs all its parts in its own thread. A forked child
 * has none of its parent's workers and starts its own. */
#if defined(__linux__)
#define _GNU_SOURCE /* sched_getcpu */
#elif !defined(_WIN32)
#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#endif
#include "threads.h"
#include "denormals.h"
#include "threads_os.h"

/* A part of fewer operations (about 50 microseconds) costs more to hand over than to compute. */
#define MIN_WORK_PER_PART 4.0e6

/* Waking a sleeping worker takes about 100 microseconds, so a call of fewer operations whose
 * workers are all asleep is as fast on one thread. Measured at 12e6, 26e6 and 105e6 operations: two
 * threads ran at 0.90, 0.99 and 1.73 times the speed of one. */
#define MIN_WORK_TO_WAKE 32.0e6

/* This many calls in a row, each this soon after the last, are taken for a loop: more calls will
 * follow, so the workers are woken for small calls too. */
enum { CALLS_OF_A_LOOP = 8, PAUSE_IN_A_LOOP = 100 /* microseconds */ };

/* How long, in microseconds, a worker spins for the next task, and a caller for the last parts of
 * its own. If it takes longer, the other thread was probably descheduled: the waiting thread
 * sleeps, so that the other one can run on its processor. */
enum { SPIN_FOR_TASK = 150, SPIN_TO_FINISH = 50 };

/* A barrier takes half a microsecond: with less work between two barriers, another part costs more
 * than it brings. */
#define MIN_WORK_PER_BARRIER 1.0e5

/* Parts that share barriers wait for the slowest of them, and each needs a thread before the first
 * can begin. When such waits, beyond these spins, take a quarter of a call or more, another program
 * is using a processor. The next call then runs on one thread, and after each further such attempt
 * twice as many calls do, until an attempt is in time. Without this, calls of n_a = 256 took five
 * times as long when another program used one of the two processors. */
enum { SPIN_TO_BEGIN = 400, SPIN_AT_BARRIER = 200 /* microseconds */, MAX_CALLS_ALONE = 1024 };

/* More threads than the largest machines have; a larger number of threads is clamped. */
enum { MAX_THREADS = 64, MAX_WORKERS = MAX_THREADS - 1 };

static os_int pool_in_use;          /* 1 while a call uses the pool */
static os_lock pool_lock = OS_LOCK; /* of the posted task and of both wait queues; held briefly */

/* Threads that sleep until an atomic integer changes. Whoever changes it calls `wake_all`. */
typedef struct {
    os_condition changed;
    os_int sleepers;
} wait_queue;
static wait_queue idle_workers = {OS_CONDITION, 0};  /* wait for a task */
static wait_queue waiting_parts = {OS_CONDITION, 0}; /* wait for other parts or for readers */

static struct {
    crnn_task task; /* NULL where there is none */
    const void *call;
    int parts, has_barriers;
    int processor; /* of the calling thread, or -1 */
} posted;
static os_int generation;                 /* counts posted tasks */
static os_int next_part;                  /* the first part that no thread has taken */
static os_int unfinished_parts;           /* of the posted task */
static os_int readers;                    /* workers that may still read `posted` */
static os_int workers;                    /* that have been started */
static int first_generation[MAX_WORKERS]; /* of each worker: the last task before its start */

/* The number of barriers that each part has reached, in a cache line of its own. */
static struct {
    _Alignas(64) os_int barriers;
} reached[MAX_THREADS];
enum { UNDECIDED, BEGIN, GIVE_UP };
static os_int decision;      /* BEGIN once each part with barriers has a thread */
static os_int time_lost;     /* microseconds that the parts slept while they waited for others */
static os_int calls_alone;   /* calls with barriers that are still to run on one thread */
static os_int calls_penalty; /* what calls_alone was set to last; 0 after an attempt in time */

static os_int calls_in_a_row; /* each soon after the one before */
static os_int last_call_end;  /* in microseconds modulo 2^32 */

/* Wait until *number is no longer `value`: spin for that many microseconds, then sleep. Returns the
 * microseconds it took if it slept, otherwise 0. */
static int wait_while_equal(os_int *number, int value, wait_queue *queue, int spin_time) {
    const int64_t began = os_microseconds();
    int slept = 0;
    for (int spin = 1; os_get(number) == value; spin++) {
        os_pause();
        if (spin % 64 != 0 || os_microseconds() - began < spin_time)
            continue;
        os_acquire(&pool_lock);
        os_add(&queue->sleepers, 1);
        while (os_get(number) == value)
            os_wait(&queue->changed, &pool_lock);
        os_add(&queue->sleepers, -1);
        os_release(&pool_lock);
        slept = 1;
    }
    return slept ? (int)(os_microseconds() - began) : 0;
}

static void wait_until_zero(os_int *number) {
    for (int value; (value = os_get(number)) > 0;)
        wait_while_equal(number, value, &waiting_parts, SPIN_TO_FINISH);
}

static void wake_all(wait_queue *queue) {
    if (os_get(&queue->sleepers) > 0) {
        os_acquire(&pool_lock);
        os_wake_all(&queue->changed);
        os_release(&pool_lock);
    }
}

static int microseconds_since(int then) {
    return (int)((uint32_t)os_microseconds() - (uint32_t)then);
}

/* Whether several threads pay for this much work now: because a worker is awake, because there is
 * enough work to wake one, or because the caller is in a loop. */
static int worth_waking(double work) {
    const int since = microseconds_since(os_get(&last_call_end));
    if (since < 0 || since > PAUSE_IN_A_LOOP)
        os_set(&calls_in_a_row, 0);
    const int in_a_row = os_add(&calls_in_a_row, 1);
    return work >= MIN_WORK_TO_WAKE || in_a_row >= CALLS_OF_A_LOOP ||
           os_get(&idle_workers.sleepers) < os_get(&workers);
}

int crnn_most_parts(int threads, ptrdiff_t units, double work) {
    double parts = work / MIN_WORK_PER_PART;
    if (parts > MAX_THREADS)
        parts = MAX_THREADS;
    if (parts > threads)
        parts = threads;
    if (parts > (double)units)
        parts = (double)units;
    return parts < 1 ? 1 : (int)parts;
}

int crnn_parts(int threads, ptrdiff_t units, double work) {
    const int parts = crnn_most_parts(threads, units, work);
    return parts > 1 && worth_waking(work) ? parts : 1;
}

int crnn_row_parts(int threads, ptrdiff_t rows, double work) {
    return crnn_parts(threads, rows / MIN_ROWS_PER_PART, work);
}

int crnn_column_parts(int threads, ptrdiff_t panels, double step, ptrdiff_t steps) {
    const int worth =
        crnn_most_parts(threads, panels, step / MIN_WORK_PER_BARRIER * MIN_WORK_PER_PART);
    return worth > 1 ? crnn_parts(worth, panels, step * (double)steps) : 1;
}

static void run_part(int part, int parts, crnn_task task, const void *call) {
    const crnn_denormals before = crnn_denormals_off();
    task(call, part, parts);
    crnn_denormals_restore(before);
}

static void finish_part(void) {
    os_add(&unfinished_parts, -1);
    wake_all(&waiting_parts);
}

/* Take parts of the task until none is left. */
static void take_parts(crnn_task task, const void *call, int parts) {
    int part;
    while ((part = os_add(&next_part, 1)) < parts) {
        run_part(part, parts, task, call);
        finish_part();
    }
}

/* Take one part of a task with barriers, if one is left. It runs only if every other part has a
 * thread too. */
static void take_part_with_barriers(crnn_task task, const void *call, int parts) {
    const int part = os_add(&next_part, 1);
    if (part >= parts)
        return;
    wait_while_equal(&decision, UNDECIDED, &waiting_parts, SPIN_TO_BEGIN);
    if (os_get(&decision) == BEGIN)
        run_part(part, parts, task, call);
    finish_part();
}

/* Linux may wake a worker on the caller's own processor and leave it there for milliseconds while
 * another processor is idle. Such a worker excludes that processor for a moment, which moves it. */
#if defined(__linux__)
static int current_processor(void) { return sched_getcpu(); }

static void move_away_from(int processor) {
    cpu_set_t allowed, others;
    if (processor < 0 || sched_getcpu() != processor ||
        sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return;
    others = allowed;
    CPU_CLR(processor, &others);
    if (CPU_COUNT(&others) > 0 && sched_setaffinity(0, sizeof others, &others) == 0)
        sched_setaffinity(0, sizeof allowed, &allowed);
}
#else
static int current_processor(void) { return -1; }
static void move_away_from(int processor) { (void)processor; }
#endif

OS_THREAD(run_worker, number) {
    int seen = first_generation[(ptrdiff_t)number];
    for (;;) {
        wait_while_equal(&generation, seen, &idle_workers, SPIN_FOR_TASK);
        os_acquire(&pool_lock);
        seen = os_get(&generation);
        const crnn_task task = posted.task;
        const void *call = posted.call;
        const int parts = posted.parts, has_barriers = posted.has_barriers;
        const int callers_processor = posted.processor;
        if (task != NULL) /* NULL if the task has ended already */
            os_add(&readers, 1);
        os_release(&pool_lock);
        if (task != NULL) {
            move_away_from(callers_processor);
            (has_barriers ? take_part_with_barriers : take_parts)(task, call, parts);
            os_add(&readers, -1);
            wake_all(&waiting_parts);
        }
    }
    return 0;
}

/* Start workers until there are `wanted`, as far as the system gives threads; how many there are.
 */
static int start_workers(int wanted) {
    int started = os_get(&workers);
    for (; started < wanted && started < MAX_WORKERS; started++) {
        first_generation[started] = os_get(&generation);
        if (!os_start(run_worker, (void *)(ptrdiff_t)started))
            break;
        os_set(&workers, started + 1);
    }
    return started;
}

/* A fork waits for pool_lock only, which no thread holds for long, and never for a call. In the
 * parent a call goes on as it was. The child has only the thread that called fork: it resets the
 * pool, and leaves `posted` and the counters of parts to the next call, which sets them. */
#if !defined(_WIN32)
static void before_fork(void) { os_acquire(&pool_lock); }

static void after_fork_in_parent(void) { os_release(&pool_lock); }

static void reset_queue(wait_queue *queue) {
    pthread_cond_init(&queue->changed, NULL);
    os_set(&queue->sleepers, 0);
}

static void after_fork_in_child(void) {
    reset_queue(&idle_workers);
    reset_queue(&waiting_parts);
    posted.task = NULL;
    os_set(&workers, 0);
    os_set(&readers, 0);
    os_set(&pool_in_use, 0);
    os_release(&pool_lock);
}

static void watch_forks_once(void) {
    pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

static void watch_forks(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks_once);
}
#else
static void watch_forks(void) {}
#endif

static void release_pool(void) { os_set(&pool_in_use, 0); }

/* Take the pool for a call of that many parts. Returns 0 if another call uses it or if fewer
 * workers than `min_workers` can be had. */
static int acquire_pool(int parts, int min_workers) {
    watch_forks();
    if (parts < 2 || os_exchange(&pool_in_use, 1) != 0)
        return 0;
    if (start_workers(parts - 1) >= min_workers)
        return 1;
    release_pool();
    return 0;
}

static void post(crnn_task task, const void *call, int parts, int has_barriers) {
    os_acquire(&pool_lock);
    posted.task = task;
    posted.call = call;
    posted.parts = parts;
    posted.has_barriers = has_barriers;
    posted.processor = current_processor();
    for (int part = 0; has_barriers && part < parts; part++)
        os_set(&reached[part].barriers, 0);
    os_set(&decision, UNDECIDED);
    os_set(&next_part, has_barriers ? 1 : 0); /* with barriers, the caller runs part 0 */
    os_set(&unfinished_parts, parts);
    os_add(&generation, 1);
    os_release(&pool_lock);
    wake_all(&idle_workers);
}

/* Wait until every part is finished and no worker reads `posted` any more, then release the pool.
 */
static void finish_call(void) {
    wait_until_zero(&unfinished_parts);
    os_acquire(&pool_lock);
    posted.task = NULL;
    os_release(&pool_lock);
    wait_until_zero(&readers);
    release_pool();
}

void crnn_run(int parts, crnn_task task, const void *call) {
    if (acquire_pool(parts, 1)) {
        post(task, call, parts, 0);
        take_parts(task, call, parts);
        finish_call();
    } else {
        for (int part = 0; part < parts; part++)
            run_part(part, parts, task, call);
    }
    os_set(&last_call_end, (int)os_microseconds());
}

/* Run a task with barriers: cut into parts if each of them gets a thread in time, otherwise as one.
 * Returns whether the parts ran and lost less than a quarter of their time by waiting. */
static int try_with_barriers(int parts, crnn_task task, const void *call) {
    post(task, call, parts, 1);
    const int64_t began = os_microseconds();
    for (int spin = 1; os_get(&next_part) < parts && os_microseconds() - began < SPIN_TO_BEGIN;
         spin++) {
        os_pause();
        if (spin % 256 == 0) /* a worker that woke on this processor needs it to move away */
            os_yield();
    }
    const int taken = os_add(&next_part, parts); /* from here on no part can be taken */
    const int all_taken = taken >= parts;
    if (!all_taken)
        os_add(&unfinished_parts, taken - parts);
    os_set(&decision, all_taken ? BEGIN : GIVE_UP);
    wake_all(&waiting_parts);
    run_part(0, all_taken ? parts : 1, task, call);
    finish_part();
    finish_call();
    return all_taken && 4 * (int64_t)os_get(&time_lost) < (parts - 1) * (os_microseconds() - began);
}

static int doubled_penalty(int penalty) {
    if (penalty == 0)
        return 1;
    return penalty < MAX_CALLS_ALONE ? 2 * penalty : penalty;
}

void crnn_run_with_barriers(int parts, crnn_task task, const void *call) {
    if (os_get(&calls_alone) > 0) {
        os_add(&calls_alone, -1);
        run_part(0, 1, task, call);
    } else if (acquire_pool(parts, parts - 1)) {
        os_set(&time_lost, 0);
        const int in_time = try_with_barriers(parts, task, call);
        const int penalty = in_time ? 0 : doubled_penalty(os_get(&calls_penalty));
        os_set(&calls_penalty, penalty);
        os_set(&calls_alone, penalty);
    } else {
        run_part(0, 1, task, call);
    }
    os_set(&last_call_end, (int)os_microseconds());
}

void crnn_barrier(int part, int parts) {
    const int number = os_get(&reached[part].barriers) + 1;
    os_set(&reached[part].barriers, number);
    wake_all(&waiting_parts);
    for (int other = 0; other < parts; other++)
        for (int theirs; (theirs = os_get(&reached[other].barriers)) < number;) {
            const int waited =
                wait_while_equal(&reached[other].barriers, theirs, &waiting_parts, SPIN_AT_BARRIER);
            if (waited > 0)
                os_add(&time_lost, waited);
        }
}
