// Has real clients say hello and keeps what they said, as tests/fuzz/corpus/hello/NAME: curl, openssl, gnutls-cli, wget and node as
// they are installed, and Go's own crypto/tls. Run by hand (go run hello-clients.go DIRECTORY); the result is committed. test-hello.c
// has the table of who asked for what. A client that is missing is said and left out.
package main

import (
	"context"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const coordinator = "c-mfrggzdfmztwq2lknnwg23tpobyxe43uov3ho6dzpiydcmrtgq2q.hearth.internal"

// PORT is that of the listener; nobody ever answers.
var programs = []struct{ name, command string }{
	{"curl", "curl -sk -m 5 --connect-to ::127.0.0.1:PORT https://Relay.Example.org/"},
	{"curl-http2", "curl -sk -m 5 --http2 --connect-to ::127.0.0.1:PORT https://" + coordinator + "/"},
	{"curl-tls12", "curl -sk -m 5 --tls-max 1.2 --connect-to ::127.0.0.1:PORT https://relay.example.org/"},
	{"curl-address", "curl -sk -m 5 https://127.0.0.1:PORT/"},
	{"openssl", "openssl s_client -connect 127.0.0.1:PORT -servername relay.example.org"},
	{"openssl-alpn", "openssl s_client -connect 127.0.0.1:PORT -servername relay.example.org -alpn h2,http/1.1"},
	{"openssl-noname", "openssl s_client -connect 127.0.0.1:PORT -noservername"},
	{"openssl-tls12", "openssl s_client -connect 127.0.0.1:PORT -servername relay.example.org -tls1_2"},
	{"openssl-split", "openssl s_client -connect 127.0.0.1:PORT -servername relay.example.org -max_send_frag 512 -groups " +
		"P-521:P-384:X25519:X448:ffdhe8192 -alpn " + strings.Repeat("a-name-that-nobody-knows,", 20) + "h2"},
	{"gnutls", "gnutls-cli --insecure -p PORT --sni-hostname=relay.example.org 127.0.0.1"},
	{"gnutls-alpn", "gnutls-cli --insecure -p PORT --alpn=h2 --sni-hostname=relay.example.org 127.0.0.1"},
	{"wget", "wget -q -T 5 -t 1 --no-check-certificate -O /dev/null https://localhost:PORT/"},
	{"node", "node -e require('tls').connect({host:'127.0.0.1',port:PORT,servername:'relay.example.org'}).on('error',()=>{})"},
}

// All of the records that come until the client has nothing more to say.
func heard(conn net.Conn) []byte {
	defer conn.Close()
	conn.SetReadDeadline(time.Now().Add(time.Second))
	hello, err := io.ReadAll(conn)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		log.Print(err)
	}
	return hello
}

func ask(command string) ([]byte, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	port := fmt.Sprint(listener.Addr().(*net.TCPAddr).Port)
	words := strings.Fields(strings.ReplaceAll(command, "PORT", port))
	program := exec.CommandContext(ctx, words[0], words[1:]...)
	if err := program.Start(); err != nil {
		return nil, err
	}
	defer func() { cancel(); program.Wait() }()
	listener.(*net.TCPListener).SetDeadline(time.Now().Add(5 * time.Second))
	conn, err := listener.Accept()
	if err != nil {
		return nil, err
	}
	return heard(conn), nil
}

// What the client of crypto/tls writes first.
type recorder struct {
	net.Conn
	first []byte
}

func (r *recorder) Write(data []byte) (int, error) {
	if r.first == nil {
		r.first = append([]byte{}, data...)
	}
	return r.Conn.Write(data)
}

// One connection to @server, or to somebody who only listens.
func say(config *tls.Config, server *tls.Config) []byte {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer listener.Close()
	go func() {
		conn, err := listener.Accept()
		if err == nil && server != nil {
			tls.Server(conn, server).Write([]byte("x")) // the ticket comes before
			conn.Close()
		}
	}()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Second))
	r := &recorder{Conn: conn}
	io.ReadAll(tls.Client(r, config))
	return r.first
}

func selfSigned() tls.Certificate {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		log.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// One configuration of Encrypted ClientHello, with X25519, HKDF-SHA256 and AES-128-GCM.
func echConfigs(public string) []byte {
	key, _ := ecdh.X25519().GenerateKey(rand.Reader)
	c := []byte{1, 0, 0x20, 0, 32}
	c = append(c, key.PublicKey().Bytes()...)
	c = append(c, 0, 4, 0, 1, 0, 1, 64, byte(len(public)))
	c = append(append(c, public...), 0, 0)
	c = append(binary.BigEndian.AppendUint16([]byte{0xfe, 0x0d}, uint16(len(c))), c...)
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(c))), c...)
}

func goHellos() map[string][]byte {
	plain := func() *tls.Config { return &tls.Config{ServerName: "relay.example.org", InsecureSkipVerify: true} }
	old, ech, again := plain(), plain(), plain()
	old.MaxVersion = tls.VersionTLS12
	ech.EncryptedClientHelloConfigList = echConfigs("public.example.org")
	ech.MinVersion = tls.VersionTLS13
	again.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	server := &tls.Config{Certificates: []tls.Certificate{selfSigned()}}
	say(again, server)
	return map[string][]byte{
		"go-mlkem": say(plain(), nil), // X25519MLKEM768 is among its key shares
		"go-tls12": say(old, nil),
		"go-ech":   say(ech, nil),
		"go-psk":   say(again, server),
	}
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: hello-clients DIRECTORY")
	}
	hellos := goHellos()
	for _, p := range programs {
		hello, err := ask(p.command)
		if err != nil {
			log.Printf("%s: %v, left out", p.name, err)
			continue
		}
		hellos[p.name] = hello
	}
	for name, hello := range hellos {
		fmt.Println(name, len(hello))
		if err := os.WriteFile(filepath.Join(os.Args[1], name), hello, 0o644); err != nil {
			log.Fatal(err)
		}
	}
}
