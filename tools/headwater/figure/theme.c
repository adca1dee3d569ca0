/* theme.c - the table of themes. */
#include "figure/theme.h"

#include <string.h>

#define COUNT(list) (sizeof(list) / sizeof *(list))
#define SANS        "Noto Sans, DejaVu Sans, sans"

/* The note's colours were measured in its figures: Streamlit's background and Plotly's first bar colour. */
static const theme themes[] = {
    {.name = "light",
     .summary = "dark on white",
     .paper = 0xffffff,
     .plot = 0xffffff,
     .grid = 0xe3e5e8,
     .ink = 0x1f2328,
     .quiet = 0x5b636d,
     .above = 0xd9730d,
     .below = 0x2784d5,
     .font = SANS,
     .map = "viridis",
     .size = 11},
    {.name = "dark",
     .summary = "light on near black",
     .dark = true,
     .paper = 0x14161a,
     .plot = 0x14161a,
     .grid = 0x30353c,
     .ink = 0xe8eaed,
     .quiet = 0x9aa3ad,
     .above = 0xf59b36,
     .below = 0x60b0ff,
     .font = SANS,
     .map = "viridis",
     .size = 11},
    {.name = "note",
     .summary = "as the note's figures: 700 by 450 points, its colours, layer 1 named L and drawn at the bottom",
     .note = true,
     .paper = 0xffffff,
     .plot = 0xf0f2f6,
     .grid = 0xffffff,
     .ink = 0x31333f,
     .quiet = 0x31333f,
     .above = 0x636efa,
     .below = 0x636efa,
     .font = "Open Sans, Arial, Liberation Sans, Noto Sans, DejaVu Sans, sans",
     .map = "plasma",
     .size = 12},
};

size_t themes_count(void) { return COUNT(themes); }
const theme *themes_at(size_t i) { return &themes[i]; }

const theme *themes_find(const char *name) {
    for (size_t i = 0; i < COUNT(themes); i++)
        if (strcmp(themes[i].name, name) == 0) return &themes[i];
    return NULL;
}
