/* The manual that ships in the binary. */
#include "manual/manual.h"

#define EMBED(symbol, path)                                                                        \
	__asm__(".section .rodata\n"                                                               \
		".global " #symbol "\n" #symbol ":\n"                                              \
		".incbin \"" path "\"\n"                                                           \
		".global " #symbol "_end\n" #symbol "_end:\n"                                      \
		".byte 0\n"                                                                        \
		".previous\n");                                                                    \
	extern const char symbol[], symbol##_end[]

EMBED(manual_default_document, BACKLINE_SOURCE_ROOT "/manuals/default/operations-manual.md");
EMBED(manual_default_site, BACKLINE_SOURCE_ROOT "/manuals/default/site.yaml");

struct str manual_embedded_document(void)
{
	return str_make(manual_default_document,
			(size_t)(manual_default_document_end - manual_default_document));
}

struct str manual_embedded_site(void)
{
	return str_make(manual_default_site,
			(size_t)(manual_default_site_end - manual_default_site));
}
