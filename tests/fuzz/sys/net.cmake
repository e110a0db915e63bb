hearth_fuzz(netlink SOURCES fuzz-netlink.c LINK hearth_sys_net)

# hearth_fuzz_kernel(NAME SOURCES ... LINK ...): what such an entry reads from sockets is the input.
function(hearth_fuzz_kernel name)
	cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
	hearth_fuzz(${name} SOURCES ${arg_SOURCES} fake-kernel.c LINK ${arg_LINK})
	foreach(call recv recvfrom recvmsg sendto)
		target_link_options(fuzz-${name} PRIVATE -Wl,--wrap=${call})
	endforeach()
endfunction()

hearth_fuzz_kernel(net-news SOURCES fuzz-net-news.c LINK hearth_sys_net hearth_sys_tun)
hearth_fuzz_kernel(nft-news SOURCES fuzz-nft-news.c LINK hearth_sys_nft)
hearth_fuzz_kernel(netlink-answer SOURCES fuzz-netlink-answer.c LINK hearth_sys_net hearth_sys_tun)
hearth_fuzz_kernel(nft-table SOURCES fuzz-nft-table.c LINK hearth_sys_nft)
hearth_fuzz_kernel(nft-forward SOURCES fuzz-nft-forward.c LINK hearth_sys_nft_forward)
