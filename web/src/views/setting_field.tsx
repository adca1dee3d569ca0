/* A form field for a row of the tables of settings and of a run's options. */
import type { SettingInfo, SettingValue } from '../data/api'
import { CHOICE_LABELS } from '../ui/labels'

interface Props {
  s: SettingInfo
  /** The row's own if not given. */
  label?: string
  value: SettingValue
  set: (value: SettingValue) => void
  disabled?: boolean
  /** Whether each keystroke sets the value; else the end of the input. */
  live?: boolean
}

export function SettingField({ s, label = s.label ?? s.name, value, set, disabled, live }: Props) {
  if (s.type === 'flag')
    return (
      <label class="check" title={s.help}>
        <input
          type="checkbox"
          disabled={disabled}
          checked={value === true}
          onChange={(e) => set(e.currentTarget.checked)}
        />{' '}
        {label}
      </label>
    )
  if (s.type === 'word')
    return (
      <label title={s.help}>
        {label}
        <select
          aria-label={label}
          disabled={disabled}
          value={String(value)}
          onChange={(e) => set(e.currentTarget.value)}
        >
          {(s.words ?? []).map((word) => (
            <option value={word}>{CHOICE_LABELS[word] ?? word}</option>
          ))}
        </select>
      </label>
    )
  const take = (e: { currentTarget: HTMLInputElement }) =>
    Number.isFinite(e.currentTarget.valueAsNumber) && set(e.currentTarget.valueAsNumber)
  return (
    <label title={s.help}>
      {label}
      <input
        type="number"
        min={Math.floor(s.min ?? 0)}
        max={s.max}
        step={s.type === 'whole' ? 1 : 0.05}
        disabled={disabled}
        value={Number(value)}
        {...(live ? { onInput: take } : { onChange: take })}
      />
    </label>
  )
}
