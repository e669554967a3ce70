/** Where it listens inside the container. */
export const ports = { ui: 8080, api: 8443, gate: 8081, peers: 9735, metrics: 9100, relay: 21_000 } as const;
/** How many ports the relay has. */
export const relays = 10;
