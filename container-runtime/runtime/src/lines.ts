/** Longest line either side takes, in bytes. */
export const MAX_LINE_BYTES = 4 * 1024 * 1024;

/** The other side sent more than {@link MAX_LINE_BYTES} without a newline. */
export class LineTooLong extends Error {
  constructor() {
    super(`the host sent a line of more than ${MAX_LINE_BYTES} bytes`);
    this.name = 'LineTooLong';
  }
}

/** Collects bytes until they are lines. Holds at most one unfinished line. */
export class Lines {
  #pieces: Buffer[] = [];
  #bytes = 0;

  /** @throws {LineTooLong} when the unfinished line is over the limit: the stream is lost. */
  push(bytes: Buffer): string[] {
    const done: string[] = [];
    let from = 0;
    for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, from)) {
      this.#take(bytes.subarray(from, end));
      done.push(Buffer.concat(this.#pieces).toString('utf8'));
      this.#pieces = [];
      this.#bytes = 0;
      from = end + 1;
    }
    this.#take(bytes.subarray(from));
    return done;
  }

  #take(piece: Buffer): void {
    this.#bytes += piece.length;
    if (this.#bytes > MAX_LINE_BYTES) throw new LineTooLong();
    if (piece.length > 0) this.#pieces.push(piece);
  }
}
