// What an agent says of itself (`action=metadata`, lib/metadata.rng of fence-agents): the options it knows and the actions it can
// do. Pure. Only the attributes that are asked for are read; the rest of the XML is for people.

export interface AgentParameter {
  readonly name: string;
  readonly required: boolean;
  readonly hasDefault: boolean;
  readonly deprecated: boolean;
  /** The old name of the same thing. */
  readonly obsoletes: string | null;
}

export interface AgentMetadata {
  readonly name: string;
  readonly parameters: readonly AgentParameter[];
  readonly actions: readonly string[];
}

/** null when it is no metadata. */
export const parseMetadata = (xml: string): AgentMetadata | null => {
  const head = /<resource-agent\s([^>]*)>/.exec(xml);
  if (head === null) return null;
  const parameters = [...xml.matchAll(/<parameter\s([^>]*?)\/?>([^]*?)(?=<parameter\s|<\/parameters>|$)/g)].map(
    ([, tag = '', body = '']) => {
      const { name = '', required, deprecated, obsoletes } = attributesOf(tag);
      const content = /<content\s([^>]*?)\/?>/.exec(body)?.[1] ?? '';
      return {
        name,
        required: required === '1',
        hasDefault: attributesOf(content)['default'] !== undefined,
        deprecated: deprecated === '1',
        obsoletes: obsoletes ?? null,
      };
    },
  );
  const actions = [...xml.matchAll(/<action\s([^>]*?)\/?>/g)].map(([, tag = '']) => attributesOf(tag)['name'] ?? '');
  return { name: attributesOf(head[1]!)['name'] ?? '', parameters, actions };
};

const attributesOf = (tag: string): Readonly<Record<string, string | undefined>> =>
  Object.fromEntries([...tag.matchAll(/([\w-]+)\s*=\s*"([^"]*)"/g)].map(([, name, value]) => [name!, value!]));

/** Why these options are not what the agent takes; null when they are. An unknown one would only be ignored by it. */
export const misfit = ({ parameters, actions }: AgentMetadata, given: readonly string[]): string | null => {
  for (const action of ['off', 'status'])
    if (!actions.includes(action)) return `it cannot do "${action}", so nobody could see that the node is off`;
  const known = parameters.map(({ name }) => name);
  const unknown = given.filter((name) => !known.includes(name));
  if (unknown.length > 0) return `it has no option ${unknown.join(', ')}; it has ${known.filter((name) => name !== 'action').join(', ')}`;
  const missing = parameters.filter(
    ({ name, required, hasDefault, deprecated, obsoletes }) =>
      required && !hasDefault && !deprecated && name !== 'action' && !given.includes(name) && !given.includes(obsoletes ?? name),
  );
  return missing.length > 0 ? `it needs ${missing.map(({ name }) => name).join(', ')}` : null;
};
