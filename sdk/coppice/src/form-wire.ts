/** Form fields as the host passes them to the browser. */

/** What a text must look like. */
export interface Pattern {
  /** A regular expression, as text. */
  readonly regex: string;
  /** What it asks for, in words. */
  readonly description: string;
}

/** Random text: `len` characters out of `charset`, such as `a-z,A-Z,0-9`. */
export interface RandomText {
  readonly charset: string;
  readonly len: number;
}

/** What all fields have. */
export interface FieldWords {
  readonly name: string;
  readonly description?: string;
  readonly warning?: string;
}

/** A field as the browser gets it. */
export type WireField = Readonly<Record<string, unknown>> & { readonly type: string };

/** The words of a field, complete. */
export function words({ name, description, warning }: FieldWords): { name: string; description: string | null; warning: string | null } {
  return { name, description: description ?? null, warning: warning ?? null };
}
