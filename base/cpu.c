/* SPDX-License-Identifier: Apache-2.0
 *
 * What the processor can do (base/cpu.h).
 */
#include "base/cpu.h"

#if defined(__x86_64__)

bool
cpu_has_aes(void)
{
	return __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul");
}

#elif defined(__aarch64__)

#include <asm/hwcap.h>
#include <sys/auxv.h>

bool
cpu_has_aes(void)
{
	unsigned long needed = HWCAP_AES | HWCAP_PMULL;

	return (getauxval(AT_HWCAP) & needed) == needed;
}

#else

bool
cpu_has_aes(void)
{
	return false;
}

#endif
