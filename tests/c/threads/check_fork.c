/* Fork during a call. The fork must not wait for the call, the call must go on in the parent, and
 * the child must have a pool of its own. An alarm ends the program if anything waits for ever. */
#define _POSIX_C_SOURCE 200809L
#include "threads.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static atomic_int begun, may_end, ended;

/* A task that ends only after the program has forked. */
static void wait_for_fork(const void *call, int part, int parts) {
    (void)call, (void)part, (void)parts;
    atomic_fetch_add(&begun, 1);
    while (!atomic_load(&may_end))
        sched_yield();
    atomic_fetch_add(&ended, 1);
}

static void *call_under_way(void *unused) {
    crnn_run(2, wait_for_fork, NULL);
    return unused;
}

/* A task that ends only when both parts have a thread. */
static void wait_for_both(const void *call, int part, int parts) {
    (void)call, (void)part;
    atomic_fetch_add(&begun, 1);
    while (atomic_load(&begun) < parts)
        sched_yield();
}

int main(void) {
    pthread_t thread;
    int status = 1;
    alarm(30);
    pthread_create(&thread, NULL, call_under_way, NULL);
    while (atomic_load(&begun) < 2)
        sched_yield();
    const pid_t child = fork();
    if (child == 0) {
        alarm(30); /* a child inherits none */
        atomic_store(&begun, 0);
        crnn_run(2, wait_for_both, NULL);
        _exit(atomic_load(&begun) != 2);
    }
    const int right =
        waitpid(child, &status, 0) == child && status == 0 && atomic_load(&ended) == 0;
    atomic_store(&may_end, 1);
    pthread_join(thread, NULL);
    if (!right || atomic_load(&ended) != 2)
        return 1;
    printf("fork: right\n");
    return 0;
}
