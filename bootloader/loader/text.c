/* Strings and checksums; memcpy and its kin, which compilers call on their own. */
#include "standin.h"

void *
memcpy(void *to, const void *from, size_t count)
{
	uint8_t *t = to;
	const uint8_t *f = from;

	while (count--)
		*t++ = *f++;
	return to;
}

void *
memset(void *to, int value, size_t count)
{
	uint8_t *t = to;

	while (count--)
		*t++ = (uint8_t)value;
	return to;
}

int
memcmp(const void *a, const void *b, size_t count)
{
	const uint8_t *x = a, *y = b;

	for (; count--; x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

size_t
length(const char *text)
{
	size_t count = 0;

	while (text[count])
		count++;
	return count;
}

bool
equal(const char *a, const char *b)
{
	return length(a) == length(b) && memcmp(a, b, length(a)) == 0;
}

bool
starts(const char *text, const char *start)
{
	return length(text) >= length(start) && memcmp(text, start, length(start)) == 0;
}

bool
ends(const char *text, const char *end)
{
	return length(text) >= length(end) && equal(text + length(text) - length(end), end);
}

uint32_t
crc32(uint32_t crc, const uint8_t *data, size_t count)
{
	static uint32_t table[256];

	if (table[1] == 0)
		for (uint32_t byte = 0; byte < 256; byte++) {
			uint32_t value = byte;
			for (int bit = 0; bit < 8; bit++)
				value = value & 1 ? value >> 1 ^ 0xedb88320 : value >> 1;
			table[byte] = value;
		}
	crc = ~crc;
	while (count--)
		crc = table[(crc ^ *data++) & 255] ^ crc >> 8;
	return ~crc;
}
