/* The height of a field for writing, by its text. */

const MAX_ROWS = 14
const COLUMNS = 80

export const rowsFor = (text: string, min: number) =>
  Math.min(MAX_ROWS, Math.max(min, text.split('\n').length + Math.floor(text.length / COLUMNS)))
