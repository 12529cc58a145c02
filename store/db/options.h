/* Options as store_open takes them. */
#ifndef STORE_DB_OPTIONS_H
#define STORE_DB_OPTIONS_H

#include "../store.h"

/* Lifts values that cannot work to the least that can; fills in the environment. */
void options_sanitize(struct store_options *o);

#endif
