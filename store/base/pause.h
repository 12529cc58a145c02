/* Pauses of threads: conditions that are waited for until a moment that setting
 * the clock does not move. */
#ifndef STORE_BASE_PAUSE_H
#define STORE_BASE_PAUSE_H

#include <pthread.h>
#include <time.h>

/* Its pthread_cond_timedwait takes what pause_end said. */
void pause_init(pthread_cond_t *cond);
struct timespec pause_end(double seconds); /* so long from now on */

#endif
