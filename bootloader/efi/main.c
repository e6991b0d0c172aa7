/*
 * loader64.efi: stands for the illumos boot loader under UEFI.
 *
 * It finds its root and reads the loader.conf files as that does, and shows, on the chosen console alone, what it
 * would boot.  QEMU ends with status 39 when all is there, with 37 behind a line LOADER-STANDIN-FAIL when not.
 */
#include "standin.h"

EFI_SYSTEM_TABLE *firmware;

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
			if (equal(first, "text") || (count == 4 && starts(first, "tty") && first[3] >= 'a' && first[3] <= 'd'))
				return first;
		}
		list += count + (list[count] != 0);
	}
	return "text";
}

static void
say_place(const char *what, const struct place *place, const char *label)
{
	if (place->partition)
		say("LOADER-STANDIN %s: partition=%d name=%s first=%d sectors=%d\n", what, (uint64_t)place->partition,
		    place->name, place->first, place->sectors);
	else if (label)
		say("LOADER-STANDIN %s: cd volume=[%s]\n", what, label);
	else
		say("LOADER-STANDIN %s: cd entry=%d\n", what, (uint64_t)place->entry);
}

EFI_STATUS
efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	static struct volume volume;
	struct place origin, root;
	char mode[] = "ttyX-mode";
	uint32_t speed;

	firmware = table;
	firmware->boot->set_watchdog_timer(0, 0, 0, NULL);
	if (!root_find(image, &origin, &root, &volume))
		fail("nothing on this disk has /boot/defaults/loader.conf");
	conf_read(&volume);
	const char *console = chosen_console();
	mode[3] = length(console) == 4 ? console[3] : 'X';
	if (!console_choose(console, conf_get(mode), &speed))
		fail("console %s is not on this machine", console);

	say("\nLOADER-STANDIN console: %s speed=%d\n", console, (uint64_t)speed);
	say_place("started from", &origin, NULL);
	say_place("root", &root, volume.fat ? NULL : volume.iso.label);
	for (int i = 0; i < conf_file_count; i++)
		say("LOADER-STANDIN file: %s\n", conf_files[i]);
	for (int i = 0; i < syntax_error_count; i++)
		say("LOADER-STANDIN syntax error: %s:%d: %s; the rest of the file is ignored\n", syntax_errors[i].file,
		    (uint64_t)syntax_errors[i].line, syntax_errors[i].reason);
	for (int i = 0; i < variable_count; i++)
		say("LOADER-STANDIN variable: %s=[%s] from %s\n", variables[i].name, variables[i].value, variables[i].file);
	boot_report(&volume);
	say("LOADER-STANDIN-END\n");
	leave(0x13);
}
