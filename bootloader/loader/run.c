/*
 * The boot loader stand-in, from its settings on, under BIOS and UEFI alike.
 *
 * It reads the loader.conf files as the illumos loader does, shows on the chosen console alone what it boots, and
 * starts the kernel.  Behind a line LOADER-STANDIN-FAIL QEMU ends with status 37.
 */
#include "standin.h"

/* The console to use: os_console, else the first of console that is one, else the screen. */
static const char *
chosen_console(void)
{
	static char first[32];
	const char *list = conf_get("console"), *chosen = conf_get("os_console");

	if (chosen)
		return chosen;
	while (list && *list) {
		size_t count = 0;
		while (list[count] && list[count] != ',' && list[count] != ' ')
			count++;
		if (count > 0 && count < sizeof(first)) {
			memcpy(first, list, count);
			first[count] = 0;
			if (equal(first, "text") ||
			    (count == 4 && starts(first, "tty") && first[3] >= 'a' && first[3] <= 'd'))
				return first;
		}
		list += count + (list[count] != 0);
	}
	return "text";
}

_Noreturn void
run(const char *origin, const struct place *root, struct volume *volume)
{
	char mode[] = "ttyX-mode";
	uint32_t speed;

	conf_read(volume);
	const char *console = chosen_console();
	mode[3] = length(console) == 4 ? console[3] : 'X';
	if (!console_choose(console, conf_get(mode), &speed))
		fail("console %s is not on this machine", console);

	say("\nLOADER-STANDIN console: %s speed=%d\n", console, (uint64_t)speed);
	say("LOADER-STANDIN started from: %s\n", origin);
	if (volume->fat)
		say("LOADER-STANDIN root: partition=%d name=%s first=%d sectors=%d\n", (uint64_t)root->partition,
		    root->name, root->first, root->sectors);
	else
		say("LOADER-STANDIN root: cd volume=[%s]\n", volume->iso.label);
	for (int i = 0; i < conf_file_count; i++)
		say("LOADER-STANDIN file: %s\n", conf_files[i]);
	for (int i = 0; i < syntax_error_count; i++)
		say("LOADER-STANDIN syntax error: %s:%d: %s; the rest of the file is ignored\n", syntax_errors[i].file,
		    (uint64_t)syntax_errors[i].line, syntax_errors[i].reason);
	for (int i = 0; i < variable_count; i++)
		say("LOADER-STANDIN variable: %s=[%s] from %s\n", variables[i].name, variables[i].value,
		    variables[i].file);
	boot(volume);
}
