/* Runs a battery of TestU01 on 32-bit words from standard input and prints one line for each p-value: p, tab, name.
 *
 * Usage: battery smallcrush|crush|bigcrush
 *        battery alphabit|rabbit BITS
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bbattery.h>
#include <swrite.h>
#include <unif01.h>

#define WORDS (1 << 16)

static unsigned int buffer[WORDS];
static size_t next, held;
static unsigned long long used;

static unsigned int word(void)
{
    if (next == held) {
        held = fread(buffer, sizeof buffer[0], WORDS, stdin);
        next = 0;
        if (held == 0) {
            fprintf(stderr, "the words ended before the battery did\n");
            exit(2);
        }
    }
    used++;
    return buffer[next++];
}

int main(int count, char **arguments)
{
    const char *name = count > 1 ? arguments[1] : "";
    double bits = count > 2 ? atof(arguments[2]) : 0;
    unif01_Gen *generator = unif01_CreateExternGenBits("stdin", word);

    swrite_Basic = FALSE;
    /* TestU01 prints a report of its own: it goes to standard error, the lines for our caller to standard output */
    FILE *lines = fdopen(dup(1), "w");
    dup2(2, 1);
    if (strcmp(name, "smallcrush") == 0)
        bbattery_SmallCrush(generator);
    else if (strcmp(name, "crush") == 0)
        bbattery_Crush(generator);
    else if (strcmp(name, "bigcrush") == 0)
        bbattery_BigCrush(generator);
    else if (strcmp(name, "alphabit") == 0)
        bbattery_Alphabit(generator, bits, 0, 32);
    else if (strcmp(name, "rabbit") == 0)
        bbattery_Rabbit(generator, bits);
    else {
        fprintf(stderr, "unknown battery '%s'\n", name);
        return 2;
    }
    for (int i = 0; i < bbattery_NTests; i++)
        fprintf(lines, "%.17g\t%s\n", bbattery_pVal[i], bbattery_TestNames[i]);
    fprintf(lines, "used\t%llu\n", used);
    unif01_DeleteExternGenBits(generator);
    return fclose(lines) == 0 ? 0 : 2;
}
