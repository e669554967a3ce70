import { describe, expect, it } from 'vitest';
import { entry } from '../testing/sample';
import { daemonRows } from './daemons';

const daemon = (name: string, owner: string, usage: Record<string, number | null> = {}) => ({
  name,
  owner,
  pid: 7,
  since: '2026-03-05T12:00:00Z',
  leaf: `d-${name}-host`,
  usage: { cpuUs: null, memoryBytes: null, ioReadBytes: null, ioWriteBytes: null, pids: null, ...usage },
});

describe('daemons', () => {
  it('are listed by name, with who starts them again', () => {
    const daemons = { 'web.1': daemon('web', 'host'), 'exec-4': daemon('db', 'package') };
    const rows = daemonRows(entry({ daemons })).map(({ name, keeper }) => [name, keeper]);
    expect(rows).toEqual([
      ['db', 'The package'],
      ['web', 'Coppice'],
    ]);
  });

  it('show what nobody counts as unknown, not as nothing', () => {
    const usage = { cpuUs: 95_400_000, memoryBytes: 0 };
    const [row] = daemonRows(entry({ daemons: { 'web.1': daemon('web', 'host', usage) } }));
    expect(row).toMatchObject({ processor: '1 min 35 s', memory: '0 B', read: '–', written: '–' });
  });

  it('are none where the server has never shown any', () => {
    expect(daemonRows(entry())).toEqual([]);
  });
});
