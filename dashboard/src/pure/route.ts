/** The address behind `#`: what is looked at, so that it can be bookmarked and sent. */

export type Route =
  | { page: 'overview'; node?: string }
  | { page: 'target'; uid: string; at: number | null }
  | { page: 'alerts' }
  | { page: 'policies' }
  | { page: 'nodes' }
  | { page: 'try'; uid: string | null; rule: string | null }
  | { page: 'unknown'; hash: string };

/** Bytes of an identifier, or of a rule's name with its policy, that are looked at; the longest that Kubernetes gives has 36, a name 253. */
const LONGEST = 512;

export function parse(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?');
  const [page = '', ...rest] = path.split('/');
  if (page === '' && rest.length === 0) {
    const node = new URLSearchParams(query).get('node');
    return node && node.length <= LONGEST ? { page: 'overview', node } : { page: 'overview' };
  }
  if (page === 'alerts' || page === 'policies' || page === 'nodes') return { page };
  if (page === 'try' && rest.length === 0) {
    const asked = new URLSearchParams(query);
    const text = (name: string) => asked.get(name)?.slice(0, LONGEST) || null;
    return { page, uid: text('uid'), rule: text('rule') };
  }
  if (page === 'target' && rest.length === 1 && rest[0]) {
    const at = Number(new URLSearchParams(query).get('at'));
    const uid = decoded(rest[0]);
    if (uid != null && uid.length <= LONGEST) return { page, uid, at: Number.isSafeInteger(at) && at > 0 ? at : null };
  }
  return { page: 'unknown', hash };
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

export function href(route: Exclude<Route, { page: 'unknown' }>): string {
  switch (route.page) {
    case 'overview': return route.node ? `#/?node=${encodeURIComponent(route.node)}` : '#/';
    case 'target': return `#/target/${encodeURIComponent(route.uid)}${route.at == null ? '' : `?at=${route.at}`}`;
    case 'try': {
      const asked = new URLSearchParams(Object.entries({ uid: route.uid, rule: route.rule }).filter((pair): pair is [string, string] => pair[1] != null));
      return asked.size ? `#/try?${asked}` : '#/try';
    }
    default: return `#/${route.page}`;
  }
}
