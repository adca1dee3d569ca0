/*
 * How the page is built: one HTML file, scripts and styles inside, with a policy that allows exactly those.
 */
import { createHash } from 'node:crypto'
import { defineConfig, type Plugin } from 'vite'
import { viteSingleFile } from 'vite-plugin-singlefile'

const sha256 = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`

/** The texts between <tag ...> and </tag>, but of scripts only those that run. */
function inlined(html: string, tag: 'script' | 'style'): string[] {
  const found = html.matchAll(new RegExp(`<${tag}([^>]*)>([\\s\\S]*?)</${tag}>`, 'g'))
  return [...found].filter(([, attributes]) => !attributes.includes('application/json')).map(([, , text]) => text)
}

/** Replaces %POLICY% by a Content-Security-Policy that names the hash of each inline script and style. */
function policy(): Plugin {
  return {
    name: 'headwater-policy',
    enforce: 'post',
    generateBundle: {
      order: 'post',
      handler(_, bundle) {
        for (const file of Object.values(bundle)) {
          if (file.type !== 'asset' || !file.fileName.endsWith('.html')) continue
          const html = String(file.source)
          const rules = [
            "default-src 'none'",
            `script-src ${inlined(html, 'script').map(sha256).join(' ')}`,
            `style-src ${inlined(html, 'style').map(sha256).join(' ')}`,
            "connect-src 'self'",
            'img-src data: blob:',
            "base-uri 'none'",
            "form-action 'none'",
          ]
          file.source = html.replace('%POLICY%', () => rules.join('; '))
        }
      },
    },
  }
}

export default defineConfig({
  root: import.meta.dirname,
  plugins: [viteSingleFile({ removeViteModuleLoader: true }), policy()],
  build: {
    outDir: '../build/page',
    emptyOutDir: false,
    target: 'es2022',
    chunkSizeWarningLimit: 2000,
    reportCompressedSize: false,
  },
  server: { proxy: { '/api': process.env.HEADWATER_SERVER ?? 'http://127.0.0.1:8571' } },
})
