/* The command line's entry. */
#include <stdio.h>

int main(void)
{
	puts("backline");
	return 0;
}
