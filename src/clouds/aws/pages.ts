/** All pages of a list, in order. `page` gets the token of the page before, undefined for the first. */
export async function allPages<Page extends { NextToken?: string | undefined }, Item>(
  page: (NextToken: string | undefined) => Promise<Page>,
  items: (page: Page) => readonly Item[] | undefined,
): Promise<Item[]> {
  const all: Item[] = [];
  let token: string | undefined;
  do {
    const answer: Page = await page(token);
    all.push(...(items(answer) ?? []));
    token = answer.NextToken || undefined;
  } while (token !== undefined);
  return all;
}
