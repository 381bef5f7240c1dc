import { readFileSync } from 'node:fs';
import { defineConfig, type Plugin } from 'vite';

/** What is bundled, so that its licenses travel with it. */
const BUNDLED = ['preact', 'uplot'];

function licenses(): Plugin {
  return {
    name: 'licenses',
    generateBundle() {
      const text = BUNDLED.map((name) => `${name}\n\n${readFileSync(`node_modules/${name}/LICENSE`, 'utf8').trim()}\n`);
      this.emitFile({ type: 'asset', fileName: 'licenses.txt', source: text.join('\n\n') });
    },
  };
}

// Names without hashes, one script and one style sheet: the program embeds the files by name, and tells browsers by ETag
// when they change. Nothing is inlined, because the page's Content-Security-Policy allows neither.
export default defineConfig({
  base: './',
  plugins: [licenses()],
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: false,
    cssCodeSplit: false,
    reportCompressedSize: false,
    rolldownOptions: {
      output: {
        codeSplitting: false,
        entryFileNames: 'dashboard.js',
        assetFileNames: 'dashboard.[ext]',
      },
    },
  },
  test: { include: ['src/**/*.test.ts'] },
} as Parameters<typeof defineConfig>[0]);
