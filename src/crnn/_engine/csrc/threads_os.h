/* What the thread pool needs from the operating system: a lock, a condition variable, threads, a
 * clock and atomic integers, with the same names for POSIX and for Windows (whose C compiler has no
 * <stdatomic.h> by default). All atomic operations are sequentially consistent. */
#ifndef CRNN_THREADS_OS_H
#define CRNN_THREADS_OS_H

#include <stdint.h>

#if defined(_WIN32)

#include <windows.h>

#include <process.h>

typedef SRWLOCK os_lock;
typedef CONDITION_VARIABLE os_condition;
typedef volatile LONG os_int;
#define OS_LOCK SRWLOCK_INIT
#define OS_CONDITION CONDITION_VARIABLE_INIT
#define OS_THREAD(name, argument) static unsigned __stdcall name(void *argument)

static void os_acquire(os_lock *lock) { AcquireSRWLockExclusive(lock); }
static void os_release(os_lock *lock) { ReleaseSRWLockExclusive(lock); }
static void os_wait(os_condition *condition, os_lock *lock) {
    SleepConditionVariableSRW(condition, lock, INFINITE, 0);
}
static void os_wake_all(os_condition *condition) { WakeAllConditionVariable(condition); }
static int os_start(unsigned(__stdcall *run)(void *), void *argument) {
    const uintptr_t thread = _beginthreadex(NULL, 0, run, argument, 0, NULL);
    if (thread != 0)
        CloseHandle((HANDLE)thread);
    return thread != 0;
}
static int64_t os_microseconds(void) {
    LARGE_INTEGER ticks, per_second;
    QueryPerformanceCounter(&ticks);
    QueryPerformanceFrequency(&per_second);
    return (int64_t)((double)ticks.QuadPart * 1e6 / (double)per_second.QuadPart);
}
#if defined(__GNUC__) /* MinGW */
static int os_get(os_int *number) { return __atomic_load_n(number, __ATOMIC_SEQ_CST); }
#else
static int os_get(os_int *number) { return InterlockedOr(number, 0); }
#endif
static void os_set(os_int *number, int value) { InterlockedExchange(number, value); }
static int os_exchange(os_int *number, int value) { return InterlockedExchange(number, value); }
static int os_add(os_int *number, int more) { return InterlockedExchangeAdd(number, more); }
static void os_pause(void) { YieldProcessor(); }
static void os_yield(void) { SwitchToThread(); }

#else

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

typedef pthread_mutex_t os_lock;
typedef pthread_cond_t os_condition;
typedef atomic_int os_int;
#define OS_LOCK PTHREAD_MUTEX_INITIALIZER
#define OS_CONDITION PTHREAD_COND_INITIALIZER
#define OS_THREAD(name, argument) static void *name(void *argument)

static void os_acquire(os_lock *lock) { pthread_mutex_lock(lock); }
static void os_release(os_lock *lock) { pthread_mutex_unlock(lock); }
static void os_wait(os_condition *condition, os_lock *lock) { pthread_cond_wait(condition, lock); }
static void os_wake_all(os_condition *condition) { pthread_cond_broadcast(condition); }
/* The signals that a worker blocks, so that the program's own threads handle them: all but those
 * that an instruction of the worker itself raises, for which faulthandler prints a traceback. */
static void os_set_blocked_signals(sigset_t *signals) {
    static const int own_faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    sigfillset(signals);
    for (size_t i = 0; i < sizeof own_faults / sizeof *own_faults; i++)
        sigdelset(signals, own_faults[i]);
}
/* Start a detached thread; whether that was possible. */
static int os_start(void *(*run)(void *), void *argument) {
    pthread_t thread;
    pthread_attr_t attributes;
    sigset_t blocked, before;
    os_set_blocked_signals(&blocked);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &blocked, &before); /* a thread inherits its creator's mask */
    const int failed = pthread_create(&thread, &attributes, run, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return !failed;
}
static int64_t os_microseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}
static int os_get(os_int *number) { return atomic_load(number); }
static void os_set(os_int *number, int value) { atomic_store(number, value); }
static int os_exchange(os_int *number, int value) { return atomic_exchange(number, value); }
static int os_add(os_int *number, int more) { return atomic_fetch_add(number, more); }
static void os_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}
static void os_yield(void) { sched_yield(); }

#endif

#endif
