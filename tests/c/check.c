/* check.c -- see check.h. */

#include "check.h"

atomic_int check_failed_count;
atomic_int check_count;
