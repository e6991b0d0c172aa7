/* The consoles: ttya to ttyd are the four serial ports of a PC, by their registers; text is the screen and 0xe9. */
#include <stdarg.h>

#include "standin.h"

enum { DEBUG_PORT = 0xe9, EXIT_PORT = 0xf4 };
/* Registers of a 16550 from its base; with DIVISOR_ACCESS set in LINE_CONTROL the first two are the speed's divisor. */
enum { DATA = 0, INTERRUPT = 1, LINE_CONTROL = 3, LINE_STATUS = 5, SCRATCH = 7 };
enum { EIGHT_BITS = 3, DIVISOR_ACCESS = 0x80, CAN_SEND = 0x20, FASTEST = 115200 };

static const uint16_t serial_ports[] = {0x3f8, 0x2f8, 0x3e8, 0x2e8};
static enum { EARLY, TEXT, SERIAL } kind = EARLY;
static uint16_t port;

static void
out(uint16_t to, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(to));
}

static uint8_t
in(uint16_t from)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(from));
	return value;
}

/* Print on the screens: text consoles that have graphics, but for the firmware's own sum of all consoles. */
static void
screens(const CHAR16 *text)
{
	static const EFI_GUID text_output = EFI_TEXT_OUTPUT_GUID, graphics = EFI_GRAPHICS_OUTPUT_GUID;
	static EFI_HANDLE *handles;
	static uint64_t count;
	EFI_TEXT_OUTPUT *screen;
	void *unused;

	if (!handles && firmware->boot->locate_handle_buffer(EFI_LOCATE_BY_PROTOCOL, &text_output, NULL, &count, &handles))
		return;
	for (uint64_t i = 0; i < count; i++)
		if (handles[i] != firmware->console_out_handle &&
		    !firmware->boot->handle_protocol(handles[i], &graphics, &unused) &&
		    !firmware->boot->handle_protocol(handles[i], &text_output, &screen))
			screen->output_string(screen, text);
}

static void
put(char character)
{
	CHAR16 text[2] = {(CHAR16)character, 0};

	if (kind == SERIAL) {
		while (!(in(port + LINE_STATUS) & CAN_SEND))
			;
		out(port + DATA, (uint8_t)character);
		return;
	}
	out(DEBUG_PORT, (uint8_t)character);
	if (kind == TEXT)
		screens(text);
	else
		firmware->console_out->output_string(firmware->console_out, text);
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
		kind = TEXT;
		return true;
	}
	if (length(name) != 4 || !starts(name, "tty") || name[3] < 'a' || name[3] > 'd')
		return false;
	base = serial_ports[name[3] - 'a'];
	out(base + SCRATCH, 0x5a); /* is there a port at all? */
	if (in(base + SCRATCH) != 0x5a)
		return false;
	for (; mode && *mode >= '0' && *mode <= '9' && wanted <= FASTEST; mode++)
		wanted = wanted * 10 + (uint32_t)(*mode - '0');
	if (wanted > 0 && wanted <= FASTEST) {
		divisor = (uint16_t)(FASTEST / wanted);
		out(base + INTERRUPT, 0);
		out(base + LINE_CONTROL, DIVISOR_ACCESS | EIGHT_BITS);
		out(base + DATA, (uint8_t)divisor);
		out(base + INTERRUPT, (uint8_t)(divisor >> 8));
	}
	out(base + LINE_CONTROL, DIVISOR_ACCESS | EIGHT_BITS);
	divisor = (uint16_t)(in(base + DATA) | in(base + INTERRUPT) << 8);
	out(base + LINE_CONTROL, EIGHT_BITS);
	*speed = divisor ? FASTEST / divisor : 0;
	kind = SERIAL;
	port = base;
	return true;
}

/* End QEMU with status (value << 1) | 1 by its isa-debug-exit device; a machine without it is switched off. */
_Noreturn void
leave(uint8_t value)
{
	out(EXIT_PORT, value);
	firmware->boot->stall(10 * 1000 * 1000); /* time to read the screen */
	firmware->runtime->reset_system(EFI_RESET_SHUTDOWN, 0, 0, NULL);
	for (;;)
		;
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
