/** Where the running node of a data folder answers people: the same for agents, relays and centers. */
export function socketIn(data: string): string {
  return `${data}/socket`;
}
