/* The thread pool: run the parts of a task on several threads, with denormals flushed to zero. */
#ifndef CRNN_THREADS_H
#define CRNN_THREADS_H

#include <stddef.h>

/* One part of a call's work: part number `part` of `parts`. */
typedef void (*crnn_task)(const void *call, int part, int parts);

/* A part of a product has at least two thirds of a tile's rows. */
enum { MIN_ROWS_PER_PART = 4 };

/* The most parts into which it can pay to cut a call that does `work` floating-point operations on
 * `units` independent units: at most `threads`. */
int crnn_most_parts(int threads, ptrdiff_t units, double work);

/* How many parts to cut such a call into now: 1 if it is not worth waking another thread. Whoever
 * asks must then use one of the functions below that run tasks, also for one part: they note when a
 * call ends, and so a loop of calls is recognized. */
int crnn_parts(int threads, ptrdiff_t units, double work);

/* The same if the units are rows of a product. A part of few rows reuses the weights too little:
 * two threads that each read all the weights for it are no faster than one. */
int crnn_row_parts(int threads, ptrdiff_t rows, double work);

/* The same if the parts divide the columns of a time step and meet at a barrier after each: `step`
 * is the work of one step. */
int crnn_column_parts(int threads, ptrdiff_t panels, double step, ptrdiff_t steps);

/* Run every part of a task and return when all have finished. The calling thread takes every part
 * that no worker takes: all of them if the workers are asleep, in use by another call or not to be
 * had. The parts are independent, so the result does not depend on who runs them. */
void crnn_run(int parts, crnn_task task, const void *call);

/* Run a task whose parts wait for each other (crnn_barrier): each part in a thread of its own. The
 * task runs as a single part if those threads cannot be had now, or have been late in recent calls.
 */
void crnn_run_with_barriers(int parts, crnn_task task, const void *call);

/* Wait until every part of such a task has called this function as often as this part. */
void crnn_barrier(int part, int parts);

#endif
