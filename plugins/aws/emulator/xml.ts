// The Query protocol's outward half: answers and errors as the API's XML envelopes.
import { XMLBuilder } from 'fast-xml-parser';
import type { ApiError } from './errors.js';
import type { View } from './views.js';

const builder = new XMLBuilder({ ignoreAttributes: false, attributeNamePrefix: '@', suppressEmptyNode: true, processEntities: true });
const HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n';

export const answerXml = (action: string, requestId: string, answer: View): string =>
  HEAD + builder.build({ [`${action}Response`]: { '@xmlns': 'http://ec2.amazonaws.com/doc/2016-11-15/', requestId, ...answer } });

export const errorXml = ({ code, message }: ApiError, requestId: string): string =>
  HEAD + builder.build({ Response: { Errors: { Error: { Code: code, Message: message } }, RequestID: requestId } });

/** STS wraps both differently. */
export const stsAnswerXml = (action: string, requestId: string, result: View): string =>
  HEAD +
  builder.build({
    [`${action}Response`]: {
      '@xmlns': 'https://sts.amazonaws.com/doc/2011-06-15/',
      [`${action}Result`]: result,
      ResponseMetadata: { RequestId: requestId },
    },
  });

export const stsErrorXml = ({ code, message }: ApiError, requestId: string): string =>
  HEAD +
  builder.build({
    ErrorResponse: {
      '@xmlns': 'https://sts.amazonaws.com/doc/2011-06-15/',
      Error: { Type: 'Sender', Code: code, Message: message },
      RequestId: requestId,
    },
  });
