/* Parts of sample data that several tests share. */
import type { Token } from '../src/data/document'

export const settings = {
  row: 'predictor',
  direction: 'input',
  columns: 'prompt',
  residual: 0.5,
  measure: 'projection',
  seed: '0',
  n_ablations: 64,
}

export const diagnostics = {
  first_mean: null,
  first_last: null,
  outside_mean: null,
  outside_last: null,
  position_mean: null,
  position_last: null,
}

export const runInfo = (tokens: Token[]) => ({
  model: { name: '', architecture: '', quantisation: '' },
  options: {},
  stop: '',
  causal: true,
  prompt: '',
  completion: '',
  tokens,
})
