// Answers of the EC2 API, read by the very client that the agents use: the SDK with its XML parser, over a handler that
// answers from memory. Whatever is wrong must become a rejection of the call.
import { Readable } from 'node:stream';
import { DescribeRouteTablesCommand, EC2Client } from '../../plugins/aws/ec2-sdk.js';
import type { Target } from './target.js';

const ANSWER = `<?xml version="1.0" encoding="UTF-8"?>
<DescribeRouteTablesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r-1</requestId><routeTableSet><item>
<routeTableId>rtb-1</routeTableId><vpcId>vpc-1</vpcId><routeSet><item><destinationCidrBlock>192.168.0.10/32</destinationCidrBlock>
<networkInterfaceId>eni-1</networkInterfaceId><state>active</state><origin>CreateRoute</origin></item></routeSet></item></routeTableSet>
</DescribeRouteTablesResponse>`;
const ERROR = `<?xml version="1.0" encoding="UTF-8"?><Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>slow &amp; steady &#x41;</Message></Error></Errors><RequestID>r-2</RequestID></Response>`;
const DOCTYPE = `<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]><Response><Errors><Error><Code>&c;</Code></Error></Errors></Response>`;

let answer: { readonly statusCode: number; readonly body: Buffer } = { statusCode: 200, body: Buffer.alloc(0) };
const client = new EC2Client({
  region: 'here',
  endpoint: 'http://127.0.0.1:9',
  credentials: { accessKeyId: 'x', secretAccessKey: 'y' },
  maxAttempts: 1,
  requestHandler: {
    handle: () =>
      Promise.resolve({
        response: { statusCode: answer.statusCode, headers: { 'content-type': 'text/xml' }, body: Readable.from([answer.body]) },
      } as never),
  },
});

export const ec2Answer: Target = {
  name: 'ec2-answer',
  seeds: [ANSWER, ERROR, DOCTYPE].map((text) => Buffer.from(text)),
  judge: async (bytes) => {
    answer = { statusCode: bytes.includes('<Errors>') ? 503 : 200, body: bytes };
    try {
      const { RouteTables } = await client.send(new DescribeRouteTablesCommand({}));
      return RouteTables === undefined ? 'answer without tables' : 'answer';
    } catch (error) {
      if (error instanceof RangeError) throw error; // The stack or the memory ended: that is no refusal.
      return 'rejected';
    }
  },
  slowMs: 150,
  oneOf: 50,
};
