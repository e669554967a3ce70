import { expect, it } from 'vitest';
import { asMarkup } from './markup';

it('what looks like markup stays visible text', () => {
  expect(asMarkup('a <b>bold</b> & brave')).toBe('a &lt;b&gt;bold&lt;/b&gt; &amp; brave');
});
