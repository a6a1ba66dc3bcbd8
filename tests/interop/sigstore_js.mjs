// @sigstore/verify verifies a bundle made of an upload and its answer, where Node knows the kind of key; and refuses a changed one.
import { createPublicKey } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { bundleFromJSON } from '@sigstore/bundle';
import { TrustedRoot } from '@sigstore/protobuf-specs';
import { Verifier, toSignedEntity, toTrustMaterial } from '@sigstore/verify';

const [golden, root] = process.argv.slice(2);
const read = (path) => JSON.parse(readFileSync(path, 'utf8'));
const trustedRoot = TrustedRoot.fromJSON(read(root));
const artifact = Buffer.from('the artifact of the golden log\n');

function verify(request, answer) {
  const { digest, signature } = request.hashedRekordRequestV002;
  const der = Buffer.from(signature.verifier.publicKey.rawBytes, 'base64');
  const publicKey = createPublicKey({ key: der, format: 'der', type: 'spki' });
  const keys = () => ({ publicKey, validFor: () => true });
  const bundle = bundleFromJSON({
    mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
    verificationMaterial: { publicKey: { hint: 'golden' }, tlogEntries: [answer] },
    messageSignature: {
      messageDigest: { algorithm: 'SHA2_256', digest },
      signature: signature.content,
    },
  });
  const options = { ctlogThreshold: 0, tlogThreshold: 1, timestampThreshold: 0 };
  const verifier = new Verifier(toTrustMaterial(trustedRoot, keys), options);
  verifier.verify(toSignedEntity(bundle, artifact));
}

function refused(request, answer, change) {
  const changed = structuredClone(answer);
  change(changed);
  try {
    verify(request, changed);
  } catch {
    return 1;
  }
  throw new Error(`accepted: ${change}`);
}

let [verified, refusals] = [0, 0];
for (const name of readdirSync(`${golden}/answers`)) {
  // Of Ed25519ph Node knows nothing, and a certificate would have to be somebody's.
  if (!/ecdsa|rsa/.test(name)) continue;
  const request = read(`${golden}/requests/${name.replace('5-', '1-').replace('-again', '')}`);
  const answer = read(`${golden}/answers/${name}`);
  verify(request, answer);
  verified += 1;
  refusals += refused(request, answer, (a) => { a.inclusionProof.logIndex = '9'; });
  refusals += refused(request, answer, (a) => { a.inclusionProof.hashes.push(a.inclusionProof.rootHash); });
  refusals += refused(request, answer, (a) => { a.logId.keyId = a.inclusionProof.rootHash; });
  refusals += refused(request, answer, (a) => {
    const { checkpoint } = a.inclusionProof;
    checkpoint.envelope = checkpoint.envelope.replace(/\n\d+\n/, '\n77\n');
  });
  refusals += refused(request, answer, (a) => {
    const body = Buffer.from(a.canonicalizedBody, 'base64');
    const digest = /"digest":"(.)/;
    const other = body.toString().replace(digest, (_, c) => `"digest":"${c === 'A' ? 'B' : 'A'}`);
    a.canonicalizedBody = Buffer.from(other).toString('base64');
  });
}
if (verified < 3) throw new Error(`${verified} answers, expected 3`);
console.log(`@sigstore/verify: ${verified} bundles verified, ${refusals} changed ones refused`);
