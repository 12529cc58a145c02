/* Memory for the bytes of data blocks. Blocks are of nearly the same size, and where the cache is
 * full each that comes in pushes one out: what a thread has freed last serves it next. */
#ifndef STORE_TABLE_BLOCK_MEMORY_H
#define STORE_TABLE_BLOCK_MEMORY_H

#include <stddef.h>

void *block_memory_new(size_t n); /* as mem_alloc; free() does for it, too */
void block_memory_free(void *p);  /* of block_memory_new or malloc */

#endif
