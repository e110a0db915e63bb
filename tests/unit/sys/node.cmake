hearth_test(test-http SOURCES test-http.c LINK hearth_sys_http hearth_sys_httpd hearth_sys_x509)
hearth_test(test-nft SOURCES test-nft.c LINK hearth_sys_nft hearth_sys_nft_forward)
hearth_test(test-door SOURCES test-door.c LINK hearth_sys_httpd)
