/* A few threads that wait for work, and denormals off while it lasts. */
#ifndef CRNN_THREADS_H
#define CRNN_THREADS_H

#include <stddef.h>

typedef void (*crnn_task)(const void *call, int part, int parts);

/* Rows of a part that has some: two thirds of a tile. */
enum { LEAST_ROWS = 4 };

/* Into how many parts to cut `work` floating-point operations over `units` independent units. */
int crnn_parts(int threads, ptrdiff_t units, double work);

/* The same where units are rows of a product: few rows alone use the weights too seldom, so that
 * two threads that read them all are no faster than one. */
int crnn_row_parts(int threads, ptrdiff_t rows, double work);

/* The same for parts that share the columns of a step and meet after each: a step of so much work,
 * of `steps`. */
int crnn_column_parts(int threads, ptrdiff_t panels, double step, ptrdiff_t steps);

/* Run every part of a task and wait for all. The calling thread takes part 0 and whatever no worker
 * has taken meanwhile: all of it, where the workers are asleep, busy with another call or cannot be
 * had. Parts never wait for each other, so the result is the same. */
void crnn_run(int parts, crnn_task task, const void *call);

/* Run the parts of a task that do wait for each other (crnn_meet): each in a thread of its own, or,
 * where those cannot be had now, or lately came late, the task as one part. */
void crnn_run_together(int parts, crnn_task task, const void *call);

/* Wait until every part of such a task is here. */
void crnn_meet(int part, int parts);

#endif
