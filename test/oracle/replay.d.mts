export type Sequence = { name: string; steps: object[]; expect: object[]; cleanup?: string[] };
/** Against a server at `https://host:port`; the rest is PEM or a bearer token. */
export function connect(access: { server: string; token?: string; ca: string; cert: string; key: string }): {
  /** What differs from the recording, or undefined. */
  replay(sequence: Sequence): Promise<string | undefined>;
  close(): void;
};
