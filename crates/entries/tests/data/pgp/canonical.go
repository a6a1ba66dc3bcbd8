// Writes the key of standard input as Go's OpenPGP does, armored without headers; or armors a signature.
package main

import (
	"bytes"
	"io"
	"os"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
)

func main() {
	input, err := io.ReadAll(os.Stdin)
	check(err)
	if len(os.Args) > 1 {
		write(openpgp.SignatureType, input)
		return
	}
	var packets bytes.Buffer
	for len(bytes.TrimSpace(input)) > 0 {
		reader := bytes.NewReader(input)
		block, err := armor.Decode(reader)
		check(err)
		body, err := io.ReadAll(block.Body)
		check(err)
		keys, err := openpgp.ReadKeyRing(bytes.NewReader(body))
		check(err)
		for _, key := range keys {
			packets.Write(inOrder(key, body))
		}
		end := bytes.Index(input, []byte("-----END PGP"))
		input = input[end:]
		input = input[bytes.IndexByte(input, '\n')+1:]
	}
	write(openpgp.PublicKeyType, packets.Bytes())
}

// Go's order of user IDs is another each time: again until it is that of the key.
func inOrder(key *openpgp.Entity, body []byte) []byte {
	for {
		var packets bytes.Buffer
		check(key.Serialize(&packets))
		sorted := true
		for a := range key.Identities {
			for b := range key.Identities {
				before := bytes.Index(body, []byte(a)) < bytes.Index(body, []byte(b))
				written := bytes.Index(packets.Bytes(), []byte(a)) < bytes.Index(packets.Bytes(), []byte(b))
				sorted = sorted && before == written
			}
		}
		if sorted {
			return packets.Bytes()
		}
	}
}

func write(kind string, packets []byte) {
	writer, err := armor.Encode(os.Stdout, kind, nil)
	check(err)
	_, err = writer.Write(packets)
	check(err)
	check(writer.Close())
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
