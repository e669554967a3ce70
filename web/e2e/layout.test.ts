import { describe, expect, it } from 'vitest';
import { theatre } from './stage.ts';

const stage = theatre();
const PAGES = [
  '/services',
  '/services/syncthing',
  '/services/hello/actions',
  '/services/hello/logs',
  '/services/hello/why',
  '/services/hello/about',
];

describe('every page', () => {
  it.each([320, 390, 768, 1280])('fits a window of %d pixels without scrolling sideways', async width => {
    const { page } = await stage.enter('/services', { viewport: { width, height: 800 } });
    for (const path of PAGES) {
      await page.goto(path);
      await page.getByRole('heading').first().waitFor();
      const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      expect([path, over]).toEqual([path, 0]);
    }
  });

  it('has buttons and fields that a screen reader can name', async () => {
    const { page } = await stage.enter('/services');
    for (const path of PAGES) {
      await page.goto(path);
      await page.getByRole('heading').first().waitFor();
      const nameless = await page.evaluate(() =>
        [...document.querySelectorAll('button, a[href], input, select, textarea')]
          .filter(e => !e.textContent?.trim() && !e.getAttribute('aria-label') && !(e instanceof HTMLInputElement && (e.labels?.length ?? 0) > 0))
          .map(e => e.outerHTML),
      );
      expect([path, nameless]).toEqual([path, []]);
    }
  });

  it.each([
    ['light', false],
    ['dark', true],
  ])('is readable in %s colours', async (_, dark) => {
    const { page } = await stage.enter('/services/syncthing', { dark });
    await page.getByText('Scanning').first().waitFor();
    const faint = await page.evaluate(() => {
      const parse = (color: string) => (color.match(/[\d.]+/g) ?? []).map(Number);
      const light = (rgb: number[]) => {
        const [r = 0, g = 0, b = 0] = rgb.map(v => (v / 255 <= 0.03928 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const behind = (e: Element | null): number[] => {
        for (let at = e; at; at = at.parentElement) {
          const color = parse(getComputedStyle(at).backgroundColor);
          if (color.length === 3 || color[3] === 1) return color;
        }
        return [255, 255, 255];
      };
      return [...document.querySelectorAll('h1, h2, h3, p, th, td, a, cop-status-pill, .label, .url')]
        .filter(e => e.textContent?.trim() && !e.closest(':disabled, [disabled]'))
        .map(e => {
          const [a, b] = [light(parse(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
          return { text: e.textContent?.trim().slice(0, 30), ratio: ((a ?? 0) + 0.05) / ((b ?? 0) + 0.05) };
        })
        .filter(({ ratio }) => ratio < 4.5);
    });
    expect(faint).toEqual([]);
  });

  it('follows the chosen colours over a reload', async () => {
    const { page } = await stage.enter('/services');
    await page.getByRole('button', { name: 'Use dark colours' }).click();
    await page.reload();
    await page.getByRole('button', { name: 'Use light colours' }).waitFor();
  });
});
