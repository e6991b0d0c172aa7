/* The consoles: ttya to ttyd are the four serial ports of a PC, by their registers; text is the screen and 0xe9. */
#include <stdarg.h>

#include "port.h"
#include "standin.h"

enum { DEBUG_PORT = 0xe9, EXIT_PORT = 0xf4 };
/* Registers of a 16550 from its base; with DIVISOR_ACCESS set in LINE_CONTROL the first two are the speed's divisor. */
enum { DATA = 0, INTERRUPT = 1, LINE_CONTROL = 3, LINE_STATUS = 5, SCRATCH = 7 };
enum { EIGHT_BITS = 3, DIVISOR_ACCESS = 0x80, CAN_SEND = 0x20, FASTEST = 115200 };

static const uint16_t serial_ports[] = {0x3f8, 0x2f8, 0x3e8, 0x2e8};
static bool chosen;
static uint16_t port; /* of the chosen console, 0 for text */

static void
put(char character)
{
	if (port) {
		while (!(port_in(port + LINE_STATUS) & CAN_SEND))
			;
		port_out(port + DATA, (uint8_t)character);
		return;
	}
	port_out(DEBUG_PORT, (uint8_t)character);
	firmware_put(character, chosen);
}

static void
put_number(uint64_t number, unsigned base, int least)
{
	char digits[20];
	int count = 0;

	do {
		digits[count++] = "0123456789abcdef"[number % base];
		number /= base;
	} while (number || count < least);
	while (count)
		put(digits[--count]);
}

static void
say_arguments(const char *format, va_list arguments)
{
	for (; *format; format++) {
		if (*format == '\n') {
			put('\r');
			put('\n');
		} else if (*format != '%') {
			put(*format);
		} else if (*++format == 's') {
			for (const char *text = va_arg(arguments, const char *); *text; text++)
				put(*text >= ' ' && *text < 127 ? *text : '?');
		} else if (*format == 'd') {
			put_number(va_arg(arguments, uint64_t), 10, 1);
		} else if (*format == 'x') {
			put_number(va_arg(arguments, uint32_t), 16, 8);
		}
	}
}

void
say(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say_arguments(format, arguments);
	va_end(arguments);
}

bool
console_choose(const char *name, const char *mode, uint32_t *speed)
{
	uint32_t wanted = 0;
	uint16_t base, divisor;

	*speed = 0;
	if (equal(name, "text")) {
		chosen = true;
		return true;
	}
	if (length(name) != 4 || !starts(name, "tty") || name[3] < 'a' || name[3] > 'd')
		return false;
	base = serial_ports[name[3] - 'a'];
	port_out(base + SCRATCH, 0x5a); /* is there a port at all? */
	if (port_in(base + SCRATCH) != 0x5a)
		return false;
	for (; mode && *mode >= '0' && *mode <= '9' && wanted <= FASTEST; mode++)
		wanted = wanted * 10 + (uint32_t)(*mode - '0');
	port_out(base + LINE_CONTROL, DIVISOR_ACCESS | EIGHT_BITS);
	if (wanted > 0 && wanted <= FASTEST) {
		divisor = (uint16_t)(FASTEST / wanted);
		port_out(base + DATA, (uint8_t)divisor);
		port_out(base + INTERRUPT, (uint8_t)(divisor >> 8));
	}
	divisor = (uint16_t)(port_in(base + DATA) | port_in(base + INTERRUPT) << 8);
	port_out(base + LINE_CONTROL, EIGHT_BITS);
	port_out(base + INTERRUPT, 0);
	*speed = divisor ? FASTEST / divisor : 0;
	chosen = true;
	port = base;
	return true;
}

_Noreturn void
leave(uint8_t value)
{
	port_out(EXIT_PORT, value);
	firmware_off();
}

_Noreturn void
fail(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say("\nLOADER-STANDIN-FAIL ");
	say_arguments(format, arguments);
	say("\n");
	va_end(arguments);
	leave(0x12);
}
